#!lua flags=allow-oom
-- Mark a task as not wanted any more; if it is not there yet, it will be born cancelled.
--
-- KEYS[1..3]  the task (hash), tasks (stream), open (zset)
-- ARGV[1]     the stream entry, packed
-- ARGV[2]     its member in the zset of open tasks
-- ARGV[3]     how long the mark of an unknown task is kept (ms); 0: it is not marked
-- ARGV[4]     the token whose tasks alone may be cancelled; empty: anybody's
-- returns     {"MARKED", life}, {"UNKNOWN"}, {"FORBIDDEN"} or {"OVER", life, result}

local PATRON = 13 -- its place in a TaskLife; nil where no tokens were asked for

local known = redis.call("HMGET", KEYS[1], "digest", "life", "result")
if not known[1] then
  if tonumber(ARGV[3]) > 0 then
    redis.call("HSET", KEYS[1], "cancelled", "1")
    redis.call("PEXPIRE", KEYS[1], ARGV[3])
  end
  return {"UNKNOWN"}
end
local patron = ARGV[4] ~= "" and cmsgpack.unpack(known[2])[PATRON]
if patron and patron[1] ~= ARGV[4] then
  return {"FORBIDDEN"}
end
if not redis.call("ZSCORE", KEYS[3], ARGV[2]) then
  return {"OVER", known[2], known[3] or ""}
end
if redis.call("HSET", KEYS[1], "cancelled", "1") == 1 then
  redis.call("XADD", KEYS[2], "*", "e", ARGV[1])
end
return {"MARKED", known[2]}
