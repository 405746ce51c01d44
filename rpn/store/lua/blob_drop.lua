#!lua flags=allow-oom
-- Forget an upload that will not be completed.
--
-- KEYS[1..3]  the upload (hash), blob_ends (zset), blob_sizes (hash)
-- ARGV[1]     its name in the last two
-- returns     1

local held = tonumber(redis.call("HGET", KEYS[3], ARGV[1]) or "0")
if held > 0 then
  redis.call("HINCRBY", KEYS[3], "total", -held)
end
redis.call("HDEL", KEYS[3], ARGV[1])
redis.call("ZREM", KEYS[2], ARGV[1])
redis.call("UNLINK", KEYS[1])
return 1
