#!lua flags=allow-oom
-- Change tokens together, if each is what it is thought to be: all of them or none.
--
-- KEYS[1..2]  tokens (hash), meta
-- ARGV        three for each: its field; what it must hold now ("" for nothing, "*" for anything);
--             what it shall hold ("" for nothing)
-- returns     1, also when all was done before; 0 when one of them is something else

local as_thought, done = true, true
for place = 1, #ARGV, 3 do
  local now, thought = redis.call("HGET", KEYS[1], ARGV[place]) or "", ARGV[place + 1]
  as_thought = as_thought and (now == thought or (thought == "*" and now ~= ""))
  done = done and now == ARGV[place + 2]
end
if done then
  return 1
end
if not as_thought then
  return 0
end
for place = 1, #ARGV, 3 do
  if ARGV[place + 2] == "" then
    redis.call("HDEL", KEYS[1], ARGV[place])
  else
    redis.call("HSET", KEYS[1], ARGV[place], ARGV[place + 2])
  end
end
redis.call("HINCRBY", KEYS[2], "tokens", 1)
return 1
