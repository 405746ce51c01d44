#!lua flags=allow-oom
-- Apply a gateway's batch of operations on its devices, and tell everybody. It follows pool_tell.lua.
--
-- A batch of reports alone goes to the replicas and not to the disk: after a crash it is told anew (sweep_find.lua).
--
-- KEYS[1..9]  meta, sessions, devices, resources, seen, lost, gateways, batches, tasks (stream)
-- KEYS[n]     inboxes of the devices that join
-- ARGV[1..5]  gateway, number of the batch, lease of the gateway (ms), channel of events,
--             tip: random mark of this batch
-- ARGV[6]     operations (msgpack, rpn.events; one a device), published as they are
-- ARGV[7]     for each (msgpack): the expected presence; for a join [expected presence, inbox key number,
--             [task entry...], not later than (ms) or 0]; "*" = whoever, "=" = nobody or the same session
-- ARGV[8]     how to publish: PUBLISH, or SPUBLISH on a Cluster
-- returns     {"OK", rev, now (ms), skipped "0,4", {operation, id, frame... of the inboxes}} or {"RESYNC"}

local time, number = redis.call("TIME"), tonumber(ARGV[2])
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last, rev, skipped = (redis.call("HGET", KEYS[8], ARGV[1]) or "0 0 "):match("^(%d+) (%d+) (.*)$")
last = tonumber(last)
if number ~= last and number ~= last + 1 or (last > 0 and not redis.call("ZSCORE", KEYS[7], ARGV[1])) then
  return {"RESYNC"}
end

local operations, guards, ids, out, fleeting = cmsgpack.unpack(ARGV[6]), cmsgpack.unpack(ARGV[7]), {}, {}, true
for index, each in ipairs(operations) do
  ids[index], fleeting = each[2], fleeting and (each[1] == 1 or each[1] == 2)
end
if fleeting then redis.set_repl(redis.REPL_REPLICA) end
redis.call("ZADD", KEYS[7], now + ARGV[3], ARGV[1])
if number == last then
  for index in skipped:gmatch("%d+") do out[index + 1] = true end
else
  local sessions, devices, resources, seen, back, lost, gone, late = {}, {}, {}, {}, {}, {}, {}, {}
  local function pair(list, first, second) local n = #list list[n + 1], list[n + 2] = first, second end
  local present = #ids > 0 and redis.call("HMGET", KEYS[2], unpack(ids))
  for index, operation in ipairs(operations) do
    local kind, id, session, there = operation[1], operation[2], operation[3], present[index]
    local guard, until_ms = guards[index], 0
    if kind == 0 then guard, until_ms = guard[1], guard[4] end
    if until_ms > 0 and now > until_ms or not (there == guard or guard == "*"
        or guard == "=" and (not there or there:match("^%S+") == session)) then
      out[index], late[#late + 1] = true, index - 1
    elseif kind == 5 then gone[#gone + 1] = id
    elseif kind == 4 then pair(lost, now, id)
    else
      pair(seen, now, id)
      if kind == 0 then
        pair(sessions, id, session .. " " .. operation[4]) pair(devices, id, operation[5]) back[#back + 1] = id
        if operation[6] ~= "" then pair(resources, id, operation[6]) end
        for _, entry in ipairs(guards[index][3]) do redis.call("XADD", KEYS[9], "*", "e", entry) end
      elseif kind == 1 then pair(resources, id, session)
      elseif kind == 3 then pair(devices, id, session) end
    end
  end
  local function put(command, key, list) if #list > 0 then redis.call(command, key, unpack(list)) end end
  put("HSET", KEYS[2], sessions) put("HSET", KEYS[3], devices) put("HSET", KEYS[4], resources)
  put("ZADD", KEYS[5], seen) put("ZREM", KEYS[6], back) put("ZADD", KEYS[6], lost)
  for key = 2, 4 do put("HDEL", KEYS[key], gone) end
  for key = 5, 6 do put("ZREM", KEYS[key], gone) end
  skipped, rev = table.concat(late, ","), redis.call("HGET", KEYS[1], "rev") or "0"
  if #operations > #late then
    rev = tell(ARGV[8], ARGV[4], ARGV[5], ARGV[6], {string.format("%.0f", now), ARGV[1], number, skipped})
  end
  redis.call("HSET", KEYS[8], ARGV[1], table.concat({number, rev, skipped}, " "))
end

local inboxes = {}
for index, operation in ipairs(operations) do
  if operation[1] == 0 and not out[index] then
    local inbox = redis.call("HGETALL", KEYS[guards[index][2]])
    for field = 1, #inbox, 2 do
      inboxes[#inboxes + 1], inboxes[#inboxes + 2], inboxes[#inboxes + 3] = index - 1, inbox[field], inbox[field + 1]
    end
  end
end
return {"OK", tonumber(rev), now, skipped, inboxes}
