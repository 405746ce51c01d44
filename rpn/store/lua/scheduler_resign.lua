#!lua flags=allow-oom
-- Give the scheduler's lease back, so that a standby need not wait for its end.
--
-- KEYS[1]  lease (string: the fence of its holder)
-- ARGV[1]  our fence
-- returns  1, or 0 when it was not ours any more

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call("DEL", KEYS[1])
