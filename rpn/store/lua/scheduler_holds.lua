#!lua flags=allow-oom
-- Finds out which decisions hold: between scheduler_ends and scheduler_inboxes.
--
-- KEYS     those of scheduler_words.lua
-- ARGV     those of scheduler_commit.lua
-- returns  nothing: the script goes on

-- Numbers of the places where somebody else is by now, or nobody; nil when there are none.
local function vacated(places)
  local found
  for start = 1, #places, 2 * PART do
    local last = math.min(start + 2 * PART - 1, #places)
    local devices = {}
    for index = start, last, 2 do
      devices[#devices + 1] = places[index]
    end
    for index, presence in ipairs(redis.call("HMGET", KEYS[3], unpack(devices))) do
      if presence ~= places[start + 2 * index - 1] then
        found = found or {}
        found[(start - 1) / 2 + index] = true
      end
    end
  end
  return found
end

-- Decisions that rest on a place which is vacant.
local function skip(rests, vacant)
  for index = 1, vacant and #rests or 0, 2 do
    if vacant[rests[index]] then
      skipped = skipped or {}
      skipped[rests[index + 1]] = true
    end
  end
end

-- A column without what skipped decisions say; `width` values belong together.
local function holding(column, width)
  local values, of = unpack(column)
  if not skipped then
    return values
  end
  local left = {}
  for index, decision in ipairs(of) do
    for place = (index - 1) * width + 1, skipped[decision] and 0 or index * width do
      left[#left + 1] = values[place]
    end
  end
  return left
end
