#!lua flags=allow-oom
-- Write a batch of the scheduler's decisions, if it still leads. It follows scheduler_words.lua.
--
-- KEYS[1]  the scheduler's lease (string: the fence of its holder)
-- KEYS[2]  meta (hash)
-- KEYS[3]  sessions (hash: device -> "session gateway")
-- KEYS[4..7]  open (zset), open_counts (hash), ended (zset), names (zset)
-- KEYS[n]  whatever the decisions write to
-- ARGV[1]  our fence
-- ARGV[2]  number of this commit within our leadership
-- ARGV[3]  lease (ms)
-- ARGV[4]  how long an inbox or a mailbox is kept after its last write (ms)
-- ARGV[5]  decisions (msgpack): [[[device, presence]...],
--          [[command, key number, argument...]...],
--          [[device, presence, mailbox key number, packed, inbox key number, inbox id, frame]...]];
--          a delivery without a device is for a call, which waits at a gateway and has no session
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

local function present(device, presence)
  return redis.call("HGET", KEYS[3], device) == presence
end

local decisions, skipped, moved, mail = cmsgpack.unpack(ARGV[5]), {}, {}, {}
for index, decision in ipairs(decisions) do
  local holds = true
  for _, rest in ipairs(decision[1]) do
    holds = holds and present(rest[1], rest[2])
  end
  if not holds then
    skipped[#skipped + 1] = index - 1
  else
    for _, command in ipairs(decision[2]) do
      if words[command[1]] then
        words[command[1]](KEYS[command[2]], unpack(command, 3))
      else
        redis.call(command[1], KEYS[command[2]], unpack(command, 3))
      end
    end
    for number, delivery in ipairs(decision[3]) do
      local device, presence, mailbox, packed, inbox, id, frame = unpack(delivery)
      if inbox > 0 then
        redis.call("HSET", KEYS[inbox], id, frame)
        redis.call("PEXPIRE", KEYS[inbox], ARGV[4])
      end
      if mailbox > 0 and (device == "" or present(device, presence)) then
        mail[mailbox] = mail[mailbox] or {}
        table.insert(mail[mailbox], "m")
        table.insert(mail[mailbox], packed)
      else
        moved[#moved + 1] = (index - 1) .. "," .. (number - 1)
      end
    end
  end
end
for mailbox, fields in pairs(mail) do
  redis.call("XADD", KEYS[mailbox], "*", unpack(fields))
  redis.call("PEXPIRE", KEYS[mailbox], ARGV[4])
end
words.trim()
skipped, moved = table.concat(skipped, ","), table.concat(moved, ",")
if #decisions > 0 then
  redis.call("HSET", KEYS[2], "commit", mark, "commit_skipped", skipped, "commit_moved", moved)
end
return {"OK", skipped, moved}
