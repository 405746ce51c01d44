#!lua flags=allow-oom
-- Tasks that are over: between scheduler_words and scheduler_holds.
--
-- KEYS     those of scheduler_words.lua
-- ARGV     those of scheduler_commit.lua
-- returns  nothing: the script goes on

local ENDED_LIMIT = 10000 -- tasks in `ended`

-- `ended` holds the newest, and `names` only what it or `open` holds.
local function trim()
  local surplus = redis.call("ZCARD", KEYS[10]) - ENDED_LIMIT
  if surplus > 0 then
    local forgotten = redis.call("ZPOPMIN", KEYS[10], math.min(surplus, 1000))
    local names = {}
    for index = 1, #forgotten, 2 do
      local submitter, id = forgotten[index]:match("^(.-):(.*)$")
      names[#names + 1] = id .. ":" .. submitter
    end
    in_parts("ZREM", KEYS[11], names)
  end
end

-- These submitters, or tokens with a quota, have so many open tasks less.
local function count_down(ended_of)
  for submitter, number in pairs(ended_of) do
    if redis.call("HINCRBY", KEYS[9], submitter, -number) <= 0 then
      redis.call("HDEL", KEYS[9], submitter)
    end
  end
end

-- Seven words for each: task, whose count it leaves, member, submitted, life, result, retention.
local function end_tasks(ends)
  local members, closed, ended, ended_of = {}, {}, {}, {}
  for at = 1, #ends, 7 do
    local task = KEYS[ends[at]]
    redis.call("HSET", task, "life", ends[at + 4], "result", ends[at + 5])
    redis.call("PEXPIRE", task, ends[at + 6])
    members[#members + 1] = ends[at + 2]
  end
  for index, score in ipairs(in_parts("ZMSCORE", KEYS[8], members)) do
    if score then
      local at = 7 * (index - 1)
      closed[#closed + 1] = members[index]
      ended[#ended + 1], ended[#ended + 2] = ends[at + 4], members[index]
      ended_of[ends[at + 2]] = (ended_of[ends[at + 2]] or 0) + 1
    end
  end
  in_parts("ZREM", KEYS[8], closed)
  in_parts("ZADD", KEYS[10], ended)
  count_down(ended_of)
  trim()
end
