#!lua flags=no-writes
-- Everything about a pool's devices, at one moment.
--
-- KEYS[1..6]  meta, sessions, devices, resources, seen, lost
-- ARGV        none
-- returns     {rev, tip, now (ms), devices, sessions, resources, seen, lost}; the last five are flat
--             lists of device and value

local time = redis.call("TIME")
local meta = redis.call("HMGET", KEYS[1], "rev", "tip")
return {
  tonumber(meta[1] or 0),
  meta[2] or "",
  time[1] * 1000 + math.floor(time[2] / 1000),
  redis.call("HGETALL", KEYS[3]),
  redis.call("HGETALL", KEYS[2]),
  redis.call("HGETALL", KEYS[4]),
  redis.call("ZRANGE", KEYS[5], 0, -1, "WITHSCORES"),
  redis.call("ZRANGE", KEYS[6], 0, -1, "WITHSCORES"),
}
