#!lua flags=allow-oom
-- What a decision may say beside the server's own commands: the beginning of scheduler_commit.lua.
--
-- KEYS[4..7]  open (zset), open_counts (hash), ended (zset), names (zset)
-- ARGV        those of scheduler_commit.lua
-- returns     nothing: the script goes on

local LOG_LIMIT, ENDED_LIMIT = 16384, 10000 -- bytes of what a task printed last; tasks in `ended`

local words = {}

-- A task is over.
function words.END(task, submitter, member, submitted, life, result, retention)
  redis.call("HSET", task, "life", life, "result", result)
  redis.call("PEXPIRE", task, retention)
  if redis.call("ZREM", KEYS[4], member) == 1 then
    redis.call("ZADD", KEYS[6], submitted, member)
    if redis.call("HINCRBY", KEYS[5], submitter, -1) <= 0 then
      redis.call("HDEL", KEYS[5], submitter)
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

-- `ended` holds the newest, and `names` only what it or `open` holds.
function words.trim()
  local surplus = redis.call("ZCARD", KEYS[6]) - ENDED_LIMIT
  if surplus > 0 then
    local forgotten = redis.call("ZPOPMIN", KEYS[6], math.min(surplus, 1000))
    for index = 1, #forgotten, 2 do
      local submitter, id = forgotten[index]:match("^(.-):(.*)$")
      redis.call("ZREM", KEYS[7], id .. ":" .. submitter)
    end
  end
end
