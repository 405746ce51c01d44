#!lua flags=allow-oom
-- What a decision may say, and how it is written: the beginning of scheduler_commit.lua.
--
-- KEYS[3..7]   sessions (hash), allocations (hash), requests (stream), tasks (stream), due (zset)
-- KEYS[8..11]  open (zset), open_counts (hash), ended (zset), names (zset)
-- ARGV         those of scheduler_commit.lua
-- returns      nothing: the script goes on

local LOG_LIMIT = 16384 -- bytes of what a task printed last
local PART = 4000 -- arguments of one command; Lua takes 8,000

local words = {}
local skipped -- decision -> true; nil while none is

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

-- The answers of a command to parts of a list, one after the other, where it answers with lists.
local function in_parts(command, key, list)
  local answers = {}
  for start = 1, #list, PART do
    local answer = redis.call(command, key, unpack(list, start, math.min(start + PART - 1, #list)))
    for index, each in ipairs(type(answer) == "table" and answer or {}) do
      answers[start + index - 1] = each
    end
  end
  return answers
end
