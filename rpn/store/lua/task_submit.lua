#!lua
-- Take a task in, once for each (submitter, id).
--
-- KEYS[1..3]  the task (hash), tasks (stream), open (zset)
-- ARGV[1]     its description, packed
-- ARGV[2]     digest of the description
-- ARGV[3]     its life so far, packed; when it began stands beside it as `submitted_ms`
-- ARGV[4]     the stream entry, packed
-- ARGV[5]     its member in the zset of open tasks
-- ARGV[6]     limit of open tasks
-- returns     {"NEW"}, {"KNOWN", life, result}, {"CONFLICT"} or {"FULL"}

local known = redis.call("HMGET", KEYS[1], "digest", "life", "result")
if known[1] then
  if known[1] ~= ARGV[2] then
    return {"CONFLICT"}
  end
  return {"KNOWN", known[2], known[3] or ""}
end
if redis.call("ZCARD", KEYS[3]) >= tonumber(ARGV[6]) then
  return {"FULL"}
end
local time = redis.call("TIME")
local now = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
redis.call("HSET", KEYS[1], "task", ARGV[1], "digest", ARGV[2], "life", ARGV[3], "submitted_ms", now)
redis.call("PERSIST", KEYS[1])
redis.call("ZADD", KEYS[3], now, ARGV[5])
redis.call("XADD", KEYS[2], "*", "e", ARGV[4])
return {"NEW"}
