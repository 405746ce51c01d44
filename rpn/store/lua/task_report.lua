#!lua flags=allow-oom
-- Put an agent's reports into the stream of tasks, if its session still speaks for it.
--
-- KEYS[1..2]  sessions, tasks (stream)
-- ARGV[1]     device
-- ARGV[2]     presence it speaks from
-- ARGV[n]     the entries, packed
-- returns     1; 0 when a newer session has taken the device over

if redis.call("HGET", KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
for index = 3, #ARGV do
  redis.call("XADD", KEYS[2], "*", "e", ARGV[index])
end
return 1
