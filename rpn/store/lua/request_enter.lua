#!lua
-- Put entries into the stream of requests, each once, if their devices' sessions still speak for them.
--
-- KEYS[1..2]  sessions, requests (stream)
-- KEYS[2+n]   for each entry: its mark (string)
-- ARGV[n]     for each entry, four: device, presence it speaks from, the entry, packed, and how long
--             its mark is kept (ms)
-- returns     for each: 1; 0 when a newer session has taken the device over

local present, replies = {}, {}
for number = 1, #KEYS - 2 do
  local device, presence, entry, kept = unpack(ARGV, 4 * number - 3, 4 * number)
  if present[device] == nil then
    present[device] = redis.call("HGET", KEYS[1], device)
  end
  local speaks = present[device] == presence
  if speaks and redis.call("SET", KEYS[2 + number], "1", "NX", "PX", kept) then
    redis.call("XADD", KEYS[2], "*", "e", entry)
  end
  replies[number] = speaks and 1 or 0
end
return replies
