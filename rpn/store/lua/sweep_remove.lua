#!lua flags=allow-oom
-- Remove those of the dead that are still dead, and tell everybody. It follows pool_tell.lua.
--
-- KEYS[1..8]  meta, sessions, devices, resources, seen, lost, gateways, batches
-- KEYS[n]     mailboxes of the dead gateways, in their order
-- ARGV[1..2]  channel of events, tip: random mark of this step
-- ARGV[3]     operations (msgpack, rpn.events): LOSE or LEAVE, published as they are
-- ARGV[4]     for each (msgpack): [presence it had, key number of the zset that condemned it, member, score]
-- ARGV[5]     dead gateways (msgpack): [[gateway, lease end]...]
-- ARGV[6]     how to publish: PUBLISH, or SPUBLISH on a Cluster
-- returns     number of devices removed or marked as lost

local function still(key, member, score)
  return redis.call("ZSCORE", KEYS[key], member) == score
end

local operations, guards, skipped = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4]), {}
local time = redis.call("TIME")
local now = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
for index, operation in ipairs(operations) do
  local id, guard = operation[2], guards[index]
  local present = redis.call("HGET", KEYS[2], id) or ""
  if present ~= guard[1] or not still(guard[2], guard[3], guard[4])
      or (operation[1] == 4 and redis.call("ZSCORE", KEYS[6], id)) then
    skipped[#skipped + 1] = index - 1
  elseif operation[1] == 4 then
    redis.call("ZADD", KEYS[6], now, id)
  else
    for key = 2, 4 do redis.call("HDEL", KEYS[key], id) end
    for key = 5, 6 do redis.call("ZREM", KEYS[key], id) end
  end
end
for index, gateway in ipairs(cmsgpack.unpack(ARGV[5])) do
  if still(7, gateway[1], gateway[2]) then
    redis.call("ZREM", KEYS[7], gateway[1])
    redis.call("HDEL", KEYS[8], gateway[1])
    redis.call("DEL", KEYS[8 + index])
  end
end
if #operations > #skipped then
  tell(ARGV[6], ARGV[1], ARGV[2], ARGV[3], {now, "-", 0, table.concat(skipped, ",")})
end
return #operations - #skipped
