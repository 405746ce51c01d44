#!lua
-- Take a task in, once for each (submitter, id).
--
-- KEYS[1..6]  the task (hash), tasks (stream), open (zset), open_counts (hash), names, ended (zsets)
-- KEYS[7]     the task it belongs to (hash); the same as KEYS[1] if there is none
-- ARGV[1..2]  its record, packed; the same without payload, empty if the record is small
-- ARGV[3]     digest of the description
-- ARGV[4]     its life so far, packed; when it began stands beside it as `submitted_ms`
-- ARGV[5..6]  the stream entries of its submission and of a cancel, packed
-- ARGV[7..9]  its member in `open`, its member in `names`, its submitter
-- ARGV[10]    limit of open tasks
-- ARGV[11]    limit of the submitter's open tasks
-- returns     {"NEW"}, {"KNOWN", life, result}, {"CONFLICT"}, {"FULL"} or {"QUOTA"}

local known = redis.call("HMGET", KEYS[1], "digest", "life", "result", "cancelled")
if known[1] then
  if known[1] ~= ARGV[3] then
    return {"CONFLICT"}
  end
  return {"KNOWN", known[2], known[3] or ""}
end
if redis.call("ZCARD", KEYS[3]) >= tonumber(ARGV[10]) then
  return {"FULL"}
end
if tonumber(redis.call("HGET", KEYS[4], ARGV[9]) or 0) >= tonumber(ARGV[11]) then
  return {"QUOTA"}
end
local time = redis.call("TIME")
local now = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
redis.call("HSET", KEYS[1], "task", ARGV[1], "digest", ARGV[3], "life", ARGV[4], "submitted_ms", now)
if ARGV[2] ~= "" then
  redis.call("HSET", KEYS[1], "brief", ARGV[2])
end
redis.call("ZADD", KEYS[3], now, ARGV[7])
redis.call("HINCRBY", KEYS[4], ARGV[9], 1)
redis.call("ZADD", KEYS[5], 0, ARGV[8])
redis.call("ZREM", KEYS[6], ARGV[7])
redis.call("XADD", KEYS[2], "*", "e", ARGV[5])
if known[4] then
  redis.call("PERSIST", KEYS[1])
end
if known[4] or (KEYS[7] ~= KEYS[1] and redis.call("HGET", KEYS[7], "cancelled")) then
  redis.call("HSET", KEYS[1], "cancelled", "1")
  redis.call("XADD", KEYS[2], "*", "e", ARGV[6])
end
return {"NEW"}
