#!lua flags=allow-oom
-- Write something, so that a WAIT after it speaks of all that this server wrote before: a step that
-- is only repeated writes nothing, and WAIT would not wait for what it wrote the first time.
--
-- KEYS[1]  meta (hash)
-- ARGV     none
-- returns  how many fields are new

return redis.call("HSET", KEYS[1], "barrier", "1")
