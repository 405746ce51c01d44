#!lua
-- Take tasks in, each once for its (submitter, id).
--
-- KEYS[1..5]  tasks (stream), open (zset), open_counts (hash), names, ended (zsets)
-- KEYS[n]     for each task: its key (hash); that of the task it belongs to, or its own if there is none
-- ARGV[n]     for each task, eleven:
--             its record, packed; the same without payload, empty if the record is small
--             digest of the description
--             its life so far, packed; when it began stands beside it as `submitted_ms`
--             the stream entries of its submission and of a cancel, packed
--             its member in `open`, its member in `names`, as whose it counts (its submitter or its token)
--             limit of open tasks, limit of those that count as that
-- returns     for each: {"NEW"}, {"KNOWN", life, result}, {"CONFLICT"}, {"FULL"} or {"QUOTA"}

local FIXED, WORDS = 5, 11
local time = redis.call("TIME")
local now = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
local open = redis.call("ZCARD", KEYS[2])
local counts, fresh, entered, members, names = {}, {}, {}, {}, {}

local function refusal(task, digest, submitter, limit, own_limit)
  local known = redis.call("HMGET", task, "digest", "life", "result", "cancelled")
  if known[1] then
    return known[1] == digest and {"KNOWN", known[2], known[3] or ""} or {"CONFLICT"}
  end
  counts[submitter] = counts[submitter] or tonumber(redis.call("HGET", KEYS[3], submitter) or 0)
  if open >= tonumber(limit) then
    return {"FULL"}
  end
  return counts[submitter] >= tonumber(own_limit) and {"QUOTA"}, known[4]
end

local function enter(task, parent, said, tombstone)
  redis.call("HSET", task, "task", said[1], "digest", said[3], "life", said[4], "submitted_ms", now)
  if said[2] ~= "" then
    redis.call("HSET", task, "brief", said[2])
  end
  open, counts[said[9]] = open + 1, counts[said[9]] + 1
  fresh[said[9]] = (fresh[said[9]] or 0) + 1
  entered[#entered + 1] = said[7]
  members[#members + 1], members[#members + 2] = now, said[7]
  names[#names + 1], names[#names + 2] = 0, said[8]
  redis.call("XADD", KEYS[1], "*", "e", said[5])
  if tombstone then
    redis.call("PERSIST", task)
  end
  if tombstone or (parent ~= task and redis.call("HGET", parent, "cancelled")) then
    redis.call("HSET", task, "cancelled", "1")
    redis.call("XADD", KEYS[1], "*", "e", said[6])
  end
  return {"NEW"}
end

local replies = {}
for index = 1, (#KEYS - FIXED) / 2 do
  local task, parent = KEYS[FIXED + 2 * index - 1], KEYS[FIXED + 2 * index]
  local said = {unpack(ARGV, WORDS * (index - 1) + 1, WORDS * index)}
  local refused, tombstone = refusal(task, said[3], said[9], said[10], said[11])
  replies[index] = refused or enter(task, parent, said, tombstone)
end
if #entered > 0 then
  redis.call("ZREM", KEYS[5], unpack(entered))
  redis.call("ZADD", KEYS[2], unpack(members))
  redis.call("ZADD", KEYS[4], unpack(names))
end
for submitter, count in pairs(fresh) do
  redis.call("HINCRBY", KEYS[3], submitter, count)
end
return replies
