#!lua flags=no-writes
-- Find out which tasks some device has.
--
-- KEYS[n]  the tasks (hashes)
-- ARGV     none
-- returns  the numbers of those, from 0

local found = {}
for index, task in ipairs(KEYS) do
  local life = redis.call("HGET", task, "life")
  local state = life and cmsgpack.unpack(life)[1]
  if state == "assigned" or state == "running" then
    found[#found + 1] = index - 1
  end
end
return found
