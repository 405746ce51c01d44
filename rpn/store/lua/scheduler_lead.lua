#!lua flags=allow-oom
-- Take the scheduler's lease if nobody holds it; every leadership has a fence of its own.
--
-- KEYS[1..2]  lease (string: the fence of its holder), fence (string)
-- ARGV[1]     lease (ms)
-- returns     the fence, or 0 while another leads

if redis.call("EXISTS", KEYS[1]) == 1 then
  return 0
end
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fence = math.max(tonumber(redis.call("GET", KEYS[2]) or 0) + 1, now)
fence = string.format("%.0f", fence)
redis.call("SET", KEYS[2], fence)
redis.call("SET", KEYS[1], fence, "PX", ARGV[1])
return tonumber(fence)
