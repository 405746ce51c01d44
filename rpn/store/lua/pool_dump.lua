#!lua flags=no-writes
-- All that a pool keeps, at one moment, but for what means nothing after a restore.
--
-- KEYS[1]  meta: names the pool's slot; the other keys are found by their prefix
-- ARGV[1]  prefix of the pool's keys
-- ARGV[n]  beginnings, behind the prefix, of keys that are left out
-- returns  {{name behind the prefix, type, ms to live or -1, value}...}; the value of a hash and of a
--          zset (with scores) is flat, of a stream {{id, {field, value...}}...}, of a string itself

local read = {
  string = function(key) return redis.call("GET", key) end,
  hash = function(key) return redis.call("HGETALL", key) end,
  zset = function(key) return redis.call("ZRANGE", key, 0, -1, "WITHSCORES") end,
  stream = function(key) return redis.call("XRANGE", key, "-", "+") end,
}
local found = {}
for _, key in ipairs(redis.call("KEYS", ARGV[1] .. "*")) do
  local name, wanted = key:sub(#ARGV[1] + 1), true
  for index = 2, #ARGV do
    wanted = wanted and name:sub(1, #ARGV[index]) ~= ARGV[index]
  end
  if wanted then
    local kind = redis.call("TYPE", key).ok
    found[#found + 1] = {name, kind, redis.call("PTTL", key), read[kind](key)}
  end
end
return found
