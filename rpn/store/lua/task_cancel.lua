#!lua flags=allow-oom
-- Mark a task as not wanted any more; if it is not there yet, it will be born cancelled.
--
-- KEYS[1..3]  the task (hash), tasks (stream), open (zset)
-- ARGV[1]     the stream entry, packed
-- ARGV[2]     its member in the zset of open tasks
-- ARGV[3]     how long the mark of an unknown task is kept (ms)
-- returns     {"MARKED"}, {"UNKNOWN"} or {"OVER", result}

if redis.call("HEXISTS", KEYS[1], "digest") == 0 then
  redis.call("HSET", KEYS[1], "cancelled", "1")
  redis.call("PEXPIRE", KEYS[1], ARGV[3])
  return {"UNKNOWN"}
end
if not redis.call("ZSCORE", KEYS[3], ARGV[2]) then
  return {"OVER", redis.call("HGET", KEYS[1], "result") or ""}
end
if redis.call("HSET", KEYS[1], "cancelled", "1") == 1 then
  redis.call("XADD", KEYS[2], "*", "e", ARGV[1])
end
return {"MARKED"}
