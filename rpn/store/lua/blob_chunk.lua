#!lua
-- Take in one piece of an upload, within the pool's quota; the same piece again changes nothing.
--
-- KEYS[1..3]  the upload (hash), blob_ends (zset), blob_sizes (hash)
-- ARGV[1]     name of the upload in the last two
-- ARGV[2]     number of the piece, from 0
-- ARGV[3]     the piece
-- ARGV[4]     how long the upload may pause (ms)
-- ARGV[5]     quota of the pool (bytes)
-- returns     1, or 0 when the pool holds too much

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local total = tonumber(redis.call("HGET", KEYS[3], "total") or "0")
for _, name in ipairs(redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", now, "LIMIT", 0, 100)) do
  total = total - tonumber(redis.call("HGET", KEYS[3], name) or "0")
  redis.call("HDEL", KEYS[3], name)
  redis.call("ZREM", KEYS[2], name)
end
local known = redis.call("HEXISTS", KEYS[1], ARGV[2]) == 1
if not known and total + #ARGV[3] > tonumber(ARGV[5]) then
  redis.call("HSET", KEYS[3], "total", string.format("%.0f", total))
  redis.call("PEXPIRE", KEYS[3], ARGV[4], "NX")
  return 0
end
if not known then
  redis.call("HSET", KEYS[1], ARGV[2], ARGV[3])
  redis.call("HINCRBY", KEYS[3], ARGV[1], #ARGV[3])
  total = total + #ARGV[3]
end
redis.call("HSET", KEYS[3], "total", string.format("%.0f", total))
redis.call("ZADD", KEYS[2], string.format("%.0f", now + ARGV[4]), ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[4])
for i = 2, 3 do
  redis.call("PEXPIRE", KEYS[i], ARGV[4], "NX")
  redis.call("PEXPIRE", KEYS[i], ARGV[4], "GT")
end
return 1
