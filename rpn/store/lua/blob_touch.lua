#!lua flags=allow-oom
-- A blob is used: keep it, from now on, as long as a new one.
--
-- KEYS[1..3]  the blob (hash), blob_ends (zset), blob_sizes (hash)
-- ARGV[1]     its name in the last two
-- ARGV[2]     how long it is kept unused (ms)
-- returns     its size (bytes), or -1 when it is not there

local size = redis.call("HGET", KEYS[1], "size")
if not size then
  return -1
end
local time = redis.call("TIME")
redis.call("PEXPIRE", KEYS[1], ARGV[2])
redis.call("ZADD", KEYS[2], string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]), ARGV[1])
for i = 2, 3 do
  redis.call("PEXPIRE", KEYS[i], ARGV[2], "NX")
  redis.call("PEXPIRE", KEYS[i], ARGV[2], "GT")
end
return tonumber(size)
