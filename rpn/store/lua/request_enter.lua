#!lua
-- Put one entry into the stream of requests, once, if its device's session still speaks for it.
--
-- KEYS[1..3]  sessions, requests (stream), mark of this entry (string)
-- ARGV[1]     device
-- ARGV[2]     presence it speaks from
-- ARGV[3]     the entry, packed
-- ARGV[4]     how long the mark is kept (ms)
-- returns     1; 0 when a newer session has taken the device over

if redis.call("HGET", KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
if redis.call("SET", KEYS[3], "1", "NX", "PX", ARGV[4]) then
  redis.call("XADD", KEYS[2], "*", "e", ARGV[3])
end
return 1
