#!lua flags=allow-oom
-- Tells everybody what happened to devices: the beginning of pool_apply.lua and sweep_remove.lua.
--
-- KEYS     theirs; KEYS[1] is meta
-- ARGV     theirs
-- returns  nothing: the script goes on

-- Publish packed operations on a channel, as the pool's next revision, under the tip given; answers the revision.
-- `place` is what the event says beside them: when (ms), whose batch, its number, numbers of skipped operations.
local function tell(publish, channel, tip, operations, place)
  local prev = redis.call("HGET", KEYS[1], "tip") or ""
  local rev = redis.call("HINCRBY", KEYS[1], "rev", 1)
  redis.call("HSET", KEYS[1], "tip", tip)
  local head = {rev, prev, tip, unpack(place)}
  redis.call(publish, channel, table.concat(head, " ") .. "\n" .. operations)
  return rev
end
