#!lua flags=no-writes
-- Read tasks without their payloads, unless those are small.
--
-- KEYS[n]  the tasks (hashes)
-- ARGV     none
-- returns  {{brief or whole record, life, submitted ms, cancel mark}...}; false for what is not there

local found = {}
for index, task in ipairs(KEYS) do
  local fields = redis.call("HMGET", task, "brief", "life", "submitted_ms", "cancelled")
  if not fields[1] then
    fields[1] = redis.call("HGET", task, "task")
  end
  found[index] = fields
end
return found
