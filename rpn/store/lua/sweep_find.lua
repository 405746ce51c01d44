#!lua flags=allow-oom
-- Name the dead: gateways whose lease ended with their devices, devices lost or silent too long.
-- Nobody is named within the amnesty that follows an outage of this server; a new pool had none.
-- Another server, or one that started again, may have lost what is fleeting (pool_apply.lua): it forgets how far
-- each gateway was, and so they join all of theirs again. When we swept last is fleeting too.
--
-- KEYS[1..6]  meta, sessions, seen, lost, gateways, batches
-- ARGV[1]     longest time between two sweeps before we count as having been away (ms)
-- ARGV[2]     amnesty after that (ms)
-- ARGV[3]     grace of a lost device (ms)
-- ARGV[4]     longest silence of a device (ms)
-- returns     {now (ms), {gateway, lease end...}, {device, presence... of these gateways},
--             {device, presence, lost since...}, {device, presence, last heard...}}

local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local run_id = redis.call("INFO", "server"):match("run_id:(%x+)")
local meta = redis.call("HMGET", KEYS[1], "swept", "run_id", "amnesty")
local amnesty, elsewhere = tonumber(meta[3] or 0), meta[2] and meta[2] ~= run_id
if elsewhere then
  redis.call("DEL", KEYS[6])
end
if elsewhere or meta[2] and now - tonumber(meta[1]) > tonumber(ARGV[1]) then
  amnesty = now + ARGV[2]
end
if meta[2] == run_id and amnesty == tonumber(meta[3]) then
  redis.set_repl(redis.REPL_REPLICA)
end
redis.call("HSET", KEYS[1], "swept", string.format("%.0f", now), "run_id", run_id,
  "amnesty", string.format("%.0f", amnesty))
redis.set_repl(redis.REPL_ALL)
if now < amnesty then
  return {now, {}, {}, {}, {}}
end

local function overdue(key, before)
  local found, flat = redis.call("ZRANGEBYSCORE", key, "-inf", string.format("%.0f", before), "WITHSCORES", "LIMIT", 0, 1000), {}
  for index = 1, #found, 2 do
    local presence = redis.call("HGET", KEYS[2], found[index])
    flat[#flat + 1], flat[#flat + 2], flat[#flat + 3] = found[index], presence or "", found[index + 1]
  end
  return flat
end

local gateways = redis.call("ZRANGEBYSCORE", KEYS[5], "-inf", string.format("%.0f", now), "WITHSCORES")
local dead, orphans = {}, {}
for index = 1, #gateways, 2 do dead[gateways[index]] = true end
if #gateways > 0 then
  local sessions = redis.call("HGETALL", KEYS[2])
  for index = 1, #sessions, 2 do
    if dead[sessions[index + 1]:match("%S+$")] and not redis.call("ZSCORE", KEYS[4], sessions[index]) then
      orphans[#orphans + 1], orphans[#orphans + 2] = sessions[index], sessions[index + 1]
    end
  end
end
return {now, gateways, orphans, overdue(KEYS[4], now - ARGV[3]), overdue(KEYS[3], now - ARGV[4])}
