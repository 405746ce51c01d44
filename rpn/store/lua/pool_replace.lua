#!lua flags=allow-oom
-- Put what was staged in the place of all that the pool holds, in one step.
--
-- KEYS[1]  meta: names the pool's slot; the other keys are found by their prefix
-- ARGV[1]  prefix of the pool's keys
-- ARGV[2]  prefix of the staged ones
-- ARGV[3]  the staged keys (msgpack): [[name behind the prefix, ms to live or -1]...]
-- returns  1; 0 when something of what was staged is not there, and nothing was changed

local staged = cmsgpack.unpack(ARGV[3])
for _, key in ipairs(staged) do
  if redis.call("EXISTS", ARGV[2] .. key[1]) == 0 then
    return 0
  end
end
for _, key in ipairs(redis.call("KEYS", ARGV[1] .. "*")) do
  if key:sub(1, #ARGV[2]) ~= ARGV[2] then
    redis.call("DEL", key)
  end
end
for _, key in ipairs(staged) do
  redis.call("RENAME", ARGV[2] .. key[1], ARGV[1] .. key[1])
  if key[2] > 0 then
    redis.call("PEXPIRE", ARGV[1] .. key[1], key[2])
  else
    redis.call("PERSIST", ARGV[1] .. key[1])
  end
end
return 1
