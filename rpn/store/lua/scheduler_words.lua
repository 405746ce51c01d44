#!lua flags=allow-oom
-- What a decision may say, and how it is written: the beginning of scheduler_commit.lua.
--
-- KEYS[3..7]   sessions (hash), allocations (hash), requests (stream), tasks (stream), due (zset)
-- KEYS[8..11]  open (zset), open_counts (hash), ended (zset), names (zset)
-- ARGV         those of scheduler_commit.lua
-- returns      nothing: the script goes on

local LOG_LIMIT, ENDED_LIMIT = 16384, 10000 -- bytes of what a task printed last; tasks in `ended`
local PART = 4000 -- arguments of one command; Lua takes 8,000

local words = {}
local skipped -- decision -> true; nil while none is

-- A task is over.
function words.END(task, submitter, member, submitted, life, result, retention)
  redis.call("HSET", task, "life", life, "result", result)
  redis.call("PEXPIRE", task, retention)
  if redis.call("ZREM", KEYS[8], member) == 1 then
    redis.call("ZADD", KEYS[10], submitted, member)
    if redis.call("HINCRBY", KEYS[9], submitter, -1) <= 0 then
      redis.call("HDEL", KEYS[9], submitter)
    end
  end
end

-- How far a task is, and the end of what it printed.
function words.NOTE(task, progress, log)
  if progress ~= "" then
    redis.call("HSET", task, "progress", progress)
  end
  if log ~= "" then
    redis.call("HSET", task, "log", ((redis.call("HGET", task, "log") or "") .. log):sub(-LOG_LIMIT))
  end
end

local function say(commands)
  for _, command in ipairs(commands) do
    if not (skipped and skipped[command[1]]) then
      local own = words[command[2]]
      if own then
        own(KEYS[command[3]], unpack(command, 4))
      else
        redis.call(command[2], KEYS[command[3]], unpack(command, 4))
      end
    end
  end
end

local function in_parts(command, key, list)
  for start = 1, #list, PART do
    redis.call(command, key, unpack(list, start, math.min(start + PART - 1, #list)))
  end
end

-- `ended` holds the newest, and `names` only what it or `open` holds.
local function trim()
  local surplus = redis.call("ZCARD", KEYS[10]) - ENDED_LIMIT
  if surplus > 0 then
    local forgotten = redis.call("ZPOPMIN", KEYS[10], math.min(surplus, 1000))
    for index = 1, #forgotten, 2 do
      local submitter, id = forgotten[index]:match("^(.-):(.*)$")
      redis.call("ZREM", KEYS[11], id .. ":" .. submitter)
    end
  end
end
