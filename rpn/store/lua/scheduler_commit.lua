#!lua flags=allow-oom
-- Write a batch of the scheduler's decisions, if it still leads. It follows scheduler_writes.lua.
--
-- KEYS[1]  the scheduler's lease (string: the fence of its holder)
-- KEYS[2]  meta (hash)
-- KEYS[3]  sessions (hash: device -> "session gateway")
-- KEYS[n]  as scheduler_words.lua says, then whatever the decisions write to
-- ARGV[1]  our fence
-- ARGV[2]  number of this commit within our leadership; of a renewal, that of the last one
-- ARGV[3]  lease (ms)
-- ARGV[4]  how long an inbox or a mailbox is kept after its last write (ms)
-- ARGV[5]  what the decisions say (msgpack), as rpn/store/packing.py describes
-- returns  {"OK", skipped decisions "0,4", deliveries that found nobody "0,1,4,0" (pairs)},
--          or with nothing written: {"DEPOSED"}, {"GAP"} when one before it was not

local WINDOW = 32 -- commits whose outcomes are remembered

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return {"DEPOSED"}
end
local places, rests, gathered, due, inboxes, mail, nowhere, commands, lives, ends, count, untold, sums =
  unpack(cmsgpack.unpack(ARGV[5]))
if count == 0 then
  redis.set_repl(redis.REPL_REPLICA) -- a renewal and no more: no disk need remember it
  redis.call("PEXPIRE", KEYS[1], ARGV[3])
  return {"OK", "", ""}
end
redis.call("PEXPIRE", KEYS[1], ARGV[3])
local number, slot = tonumber(ARGV[2]), "commit" .. ARGV[2] % WINDOW
local found = redis.call("HMGET", KEYS[2], "commit", slot)
local fence, last = string.match(found[1] or "", "^(.*):(%d+)$")
last = fence == ARGV[1] and tonumber(last) or 0
if number <= last then
  return {"OK", unpack(cmsgpack.unpack(found[2]))}
elseif number > last + 1 then
  return {"GAP"}
end

local vacant = vacated(places)
skip(rests, vacant)
keep(holding(inboxes, 3))
forget(holding(untold, 2))
in_parts("HSET", KEYS[4], holding(gathered[1], 2))
in_parts("HDEL", KEYS[4], holding(gathered[2], 1))
in_parts("XDEL", KEYS[5], holding(gathered[3], 1))
in_parts("XDEL", KEYS[6], holding(gathered[4], 1))
write_deadlines(holding(due, 2))
live(holding(lives, 2))
end_tasks(holding(ends, 7))
count_up(sums)
say(commands)
for _, letters in ipairs(mail) do
  send(KEYS[letters[1]], letters[2], letters[3], vacant)
end
for index = 1, #nowhere, 2 do
  if not (skipped and skipped[nowhere[index]]) then
    moved[#moved + 1] = nowhere[index] .. "," .. nowhere[index + 1]
  end
end
for key in pairs(kept) do
  redis.call("PEXPIRE", key, ARGV[4])
end
local left_out = {}
for decision = 0, skipped and count - 1 or -1 do
  left_out[#left_out + 1] = skipped[decision] and decision or nil
end
local skips, moves = table.concat(left_out, ","), table.concat(moved, ",")
redis.call("HSET", KEYS[2], "commit", ARGV[1] .. ":" .. ARGV[2], slot, cmsgpack.pack({skips, moves}))
return {"OK", skips, moves}
