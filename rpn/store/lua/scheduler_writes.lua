#!lua flags=allow-oom
-- Writes what decisions say, kind by kind: between scheduler_inboxes and scheduler_commit.
--
-- KEYS     those of scheduler_words.lua
-- ARGV     those of scheduler_commit.lua
-- returns  nothing: the script goes on

local moved = {}

local function write_deadlines(due)
  local at, set, cleared = {}, {}, {}
  for index = 1, #due, 2 do
    at[due[index]] = due[index + 1]
  end
  for member, time in pairs(at) do
    if time == "" then
      cleared[#cleared + 1] = member
    else
      set[#set + 1], set[#set + 2] = time, member
    end
  end
  in_parts("ZADD", KEYS[7], set)
  in_parts("ZREM", KEYS[7], cleared)
end

-- Three words for each: hash, field, by how much it grows.
local function count_up(sums)
  for index = 1, #sums, 3 do
    redis.call("HINCRBY", KEYS[sums[index]], sums[index + 1], sums[index + 2])
  end
end

local function live(tasks)
  for index = 1, #tasks, 2 do
    redis.call("HSET", KEYS[tasks[index]], "life", tasks[index + 1])
  end
end

-- Only to those who are where they are thought to be.
local function send(mailbox, letters, to, vacant)
  local sent = vacant and {} or letters
  for index = 1, vacant and #to or 0, 3 do
    if skipped and skipped[to[index + 1]] then -- nothing of it is written
    elseif vacant[to[index]] then
      moved[#moved + 1] = to[index + 1] .. "," .. to[index + 2]
    else
      sent[#sent + 1], sent[#sent + 2] = "m", letters[(index - 1) / 3 * 2 + 2]
    end
  end
  for start = 1, #sent, PART do
    redis.call("XADD", mailbox, "*", unpack(sent, start, math.min(start + PART - 1, #sent)))
    kept[mailbox] = true
  end
end
