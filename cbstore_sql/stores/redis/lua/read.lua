-- The clock is read after the hash, so no time in the hash is later.
local found = redis.call("HGETALL", KEYS[1])
local _, now = clock()
return answer(found, now)
