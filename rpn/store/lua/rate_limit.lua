#!lua flags=allow-oom
-- Count a request in its address's window of time.
--
-- KEYS[1]  the window (string)
-- ARGV[1]  its length (ms)
-- returns  {requests in it so far, this one included, ms until it ends}

local count = redis.call("INCR", KEYS[1])
if count == 1 then
  redis.call("PEXPIRE", KEYS[1], ARGV[1])
end
return {count, redis.call("PTTL", KEYS[1])}
