#!lua flags=allow-oom
-- Write a batch of the scheduler's decisions, if it still leads. It follows scheduler_words.lua.
--
-- KEYS[1]  the scheduler's lease (string: the fence of its holder)
-- KEYS[2]  meta (hash)
-- KEYS[3]  sessions (hash: device -> "session gateway")
-- KEYS[n]  as scheduler_words.lua says, then whatever the decisions write to
-- ARGV[1]  our fence
-- ARGV[2]  number of this commit within our leadership
-- ARGV[3]  lease (ms)
-- ARGV[4]  how long an inbox or a mailbox is kept after its last write (ms)
-- ARGV[5]  {devices, decisions} (msgpack), as rpn/store/packing.py describes
-- returns  {"OK", skipped decisions "0,4", deliveries that found nobody "0,1,4,0" (pairs)},
--          or {"DEPOSED"} with nothing written

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return {"DEPOSED"}
end
redis.call("PEXPIRE", KEYS[1], ARGV[3])
local mark = ARGV[1] .. ":" .. ARGV[2]
local last = redis.call("HMGET", KEYS[2], "commit", "commit_skipped", "commit_moved")
if last[1] == mark then
  return {"OK", last[2], last[3]}
end

local devices, decisions = unpack(cmsgpack.unpack(ARGV[5]))
local present = presences(devices)

local function holds(rests)
  for index = 1, #rests, 2 do
    if present[rests[index]] ~= rests[index + 1] then
      return false
    end
  end
  return true
end

local skipped, moved = {}, {}
for index, said in ipairs(decisions) do
  if said[1] and not holds(said[1]) then
    skipped[#skipped + 1] = index - 1
  else
    gather(said)
    for number, delivery in ipairs(said[8] or {}) do
      local device, presence, session, mailbox, inbox, id, frame = unpack(delivery)
      if inbox > 0 then
        keep(KEYS[inbox], id, frame)
      end
      if mailbox > 0 and (device == 0 or present[device] == presence) then
        send(KEYS[mailbox], devices[device] or "", session, id, frame)
      else
        moved[#moved + 1] = (index - 1) .. "," .. (number - 1)
      end
    end
  end
end
write(ARGV[4])
skipped, moved = table.concat(skipped, ","), table.concat(moved, ",")
if #decisions > 0 then
  redis.call("HSET", KEYS[2], "commit", mark, "commit_skipped", skipped, "commit_moved", moved)
end
return {"OK", skipped, moved}
