#!lua
-- Put entries into the stream of requests, once, if their devices' sessions still speak for them.
--
-- KEYS[1..2]  sessions, requests (stream)
-- KEYS[3]     mark of these entries together (string: what was answered)
-- ARGV[n]     for each entry, four: device, presence it speaks from, the entry, packed, and how long
--             the mark is kept (ms)
-- returns     for each: 1; 0 when a newer session has taken the device over

local replies = {}
local answered = redis.call("GET", KEYS[3])
if answered then
  for number = 1, #answered do
    replies[number] = tonumber(answered:sub(number, number))
  end
  return replies
end
local devices = {}
for at = 1, #ARGV, 4 do
  devices[#devices + 1] = ARGV[at]
end
local entered = false
for number, present in ipairs(redis.call("HMGET", KEYS[1], unpack(devices))) do
  local speaks = present == ARGV[4 * number - 2]
  if speaks then
    redis.call("XADD", KEYS[2], "*", "e", ARGV[4 * number - 1])
    entered = true
  end
  replies[number] = speaks and 1 or 0
end
if entered then
  redis.call("SET", KEYS[3], table.concat(replies), "PX", ARGV[4])
end
return replies
