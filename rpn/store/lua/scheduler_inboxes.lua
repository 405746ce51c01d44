#!lua flags=allow-oom
-- Writes what waits for devices, and what need not any more: between scheduler_holds and scheduler_writes.
--
-- KEYS     those of scheduler_words.lua
-- ARGV     those of scheduler_commit.lua
-- returns  nothing: the script goes on

local kept = {} -- key -> true: what expires so long after this

local function keep(inboxes)
  local fields = {}
  for index = 1, #inboxes, 3 do
    local inbox = KEYS[inboxes[index]]
    local own = fields[inbox] or {}
    fields[inbox] = own
    own[#own + 1], own[#own + 2] = inboxes[index + 1], inboxes[index + 2]
  end
  for inbox, own in pairs(fields) do
    in_parts("HSET", inbox, own)
    kept[inbox] = true
  end
end

local function forget(inboxes)
  for index = 1, #inboxes, 2 do
    redis.call("HDEL", KEYS[inboxes[index]], inboxes[index + 1])
  end
end
