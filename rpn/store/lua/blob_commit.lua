#!lua
-- Make a whole upload a blob; safe to repeat, and the first of several with the same content stays.
--
-- KEYS[1..4]  the upload (hash), the blob (hash), blob_ends (zset), blob_sizes (hash)
-- ARGV[1..2]  names of the upload and of the blob in the last two
-- ARGV[3]     its size (bytes)
-- ARGV[4]     how many pieces the upload has
-- ARGV[5]     how long the blob is kept unused (ms)
-- returns     1 now it is there, 0 it was there before, -1 the upload is gone or not whole

local known = redis.call("EXISTS", KEYS[2]) == 1
if not known and redis.call("HLEN", KEYS[1]) ~= tonumber(ARGV[4]) then
  return -1
end
local time = redis.call("TIME")
local ends = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5])
if known then
  local held = tonumber(redis.call("HGET", KEYS[4], ARGV[1]) or "0")
  if held > 0 then -- it is 0 for the empty blob and for a repetition, and Redis 7 takes no "-0"
    redis.call("HINCRBY", KEYS[4], "total", -held)
  end
  redis.call("UNLINK", KEYS[1])
else
  redis.call("HSET", KEYS[1], "size", ARGV[3])
  redis.call("RENAME", KEYS[1], KEYS[2])
  redis.call("HSET", KEYS[4], ARGV[2], ARGV[3])
end
redis.call("HDEL", KEYS[4], ARGV[1])
redis.call("ZREM", KEYS[3], ARGV[1])
redis.call("ZADD", KEYS[3], ends, ARGV[2])
redis.call("PEXPIRE", KEYS[2], ARGV[5])
for i = 3, 4 do
  redis.call("PEXPIRE", KEYS[i], ARGV[5], "NX")
  redis.call("PEXPIRE", KEYS[i], ARGV[5], "GT")
end
return known and 0 or 1
