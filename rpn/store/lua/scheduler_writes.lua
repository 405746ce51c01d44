#!lua flags=allow-oom
-- Gathers what decisions say and writes it kind by kind: between scheduler_words and scheduler_commit.
--
-- KEYS     those of scheduler_words.lua
-- ARGV     those of scheduler_commit.lua
-- returns  nothing: the script goes on

-- A decision holds: remember what can wait, do at once what cannot.
local function gather(said)
  for kind = 2, 5 do
    local list = gathered[kind]
    for _, word in ipairs(said[kind] or {}) do
      list[#list + 1] = word
    end
  end
  local due = said[6] or {}
  for index = 1, #due, 2 do
    deadlines[due[index]] = due[index + 1]
  end
  for _, command in ipairs(said[7] or {}) do
    local own = words[command[1]]
    if own then
      own(KEYS[command[2]], unpack(command, 3))
    else
      redis.call(command[1], KEYS[command[2]], unpack(command, 3))
    end
  end
end

local function keep(inbox, id, frame)
  redis.call("HSET", inbox, id, frame)
  kept[inbox] = true
end

local function send(mailbox, device, session, id, frame)
  local letters = mail[mailbox] or {}
  mail[mailbox] = letters
  letters[#letters + 1] = "m"
  letters[#letters + 1] = cmsgpack.pack({device, session, id, frame})
end

local function write_deadlines()
  local set, cleared = {}, {}
  for member, at in pairs(deadlines) do
    if at == "" then
      cleared[#cleared + 1] = member
    else
      set[#set + 1], set[#set + 2] = at, member
    end
  end
  in_parts("ZADD", KEYS[7], set)
  in_parts("ZREM", KEYS[7], cleared)
end

local function write(kept_ms)
  in_parts("HSET", KEYS[4], gathered[2])
  in_parts("HDEL", KEYS[4], gathered[3])
  in_parts("XDEL", KEYS[5], gathered[4])
  in_parts("XDEL", KEYS[6], gathered[5])
  write_deadlines()
  for mailbox, letters in pairs(mail) do
    for start = 1, #letters, PART do
      redis.call("XADD", mailbox, "*", unpack(letters, start, math.min(start + PART - 1, #letters)))
    end
    kept[mailbox] = true
  end
  for key in pairs(kept) do
    redis.call("PEXPIRE", key, kept_ms)
  end
  trim()
end
