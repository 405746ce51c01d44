#!lua
-- Put what a caller asks into a stream, once: the caller is no device, and waits for the answer.
--
-- KEYS[1..2]  the call (hash: digest, answer), the stream
-- ARGV[1]     digest of what is asked
-- ARGV[2]     the entry, packed
-- ARGV[3]     how long the call and its answer are kept (ms)
-- returns     {"NEW"}, {"KNOWN", answer or ""}, or {"CONFLICT"} when the id stands for something else

local known = redis.call("HMGET", KEYS[1], "digest", "answer")
if known[1] and known[1] ~= ARGV[1] then
  return {"CONFLICT"}
end
if known[1] then
  return {"KNOWN", known[2] or ""}
end
redis.call("HSET", KEYS[1], "digest", ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
redis.call("XADD", KEYS[2], "*", "e", ARGV[2])
return {"NEW"}
