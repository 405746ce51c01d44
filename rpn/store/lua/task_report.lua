#!lua flags=allow-oom
-- Put agents' reports into the stream of tasks, if their sessions still speak for them.
--
-- KEYS[1..2]  sessions, tasks (stream)
-- ARGV[n]     for each report, three: device, presence it speaks from, the entry, packed
-- returns     for each: 1; 0 when a newer session has taken the device over

local present, replies = {}, {}
for at = 1, #ARGV, 3 do
  local device = ARGV[at]
  if present[device] == nil then
    present[device] = redis.call("HGET", KEYS[1], device)
  end
  local speaks = present[device] == ARGV[at + 1]
  if speaks then
    redis.call("XADD", KEYS[2], "*", "e", ARGV[at + 2])
  end
  replies[#replies + 1] = speaks and 1 or 0
end
return replies
