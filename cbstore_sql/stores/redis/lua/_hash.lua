-- Shared by every operation that may write: the hash as a row, the write and the answer. Mirrors codec.py.

local ABSENT, ENDLESS = -2, -1

local function number(name, written)
    if written == "0" then
        return 0
    end
    local value = string.find(written, "^%d[%d.eE+-]*$") and tonumber(written)
    if not value or value > LARGEST[name] or (INTEGER_FIELDS[name] and value ~= math.floor(value)) then
        return 0
    end
    return value
end

local function text_field(name, written)
    if name == "state" or name == "previous_state" then
        return (written == OPEN or written == HALF_OPEN) and written or CLOSED
    end
    if name == "override" then
        return (written == OPEN or written == CLOSED or written == SHADOW) and written or ""
    end
    return written
end

local function signature(row, active)
    return row.state .. "|" .. text(row.open_until) .. "|" .. active
end

-- Returns the fields and their texts as one list, the texts by field, the row, and whether the row must be written
-- whole, because the key is missing, another client changed the breaker, or a text means something else than it says.
local function read_row()
    local found, hash, row = redis.call("HGETALL", KEYS[1]), {}, DEFAULTS
    local is_damaged = false
    for i = 1, #found, 2 do
        local name, written = found[i], found[i + 1]
        hash[name] = written
        if LARGEST[name] then
            local value = number(name, written)
            row[name] = value
            is_damaged = is_damaged or value == 0 and written ~= "0"
        elseif row[name] then
            local value = text_field(name, written)
            row[name] = value
            is_damaged = is_damaged or value ~= written
        end
    end
    local active = hash.half_open_probe_active == "True"
    local is_foreign = hash.written ~= signature(row, active and "True" or "False")
    if is_foreign and #found > 0 then
        row.generation = row.generation + 1
        row.success_count = 0
        row.open_seconds = row.state == CLOSED and 0 or row.open_seconds
        row.probe_token = active and FOREIGN_TOKEN or ""
        row.probe_until = active and NO_KNOWN_END or 0
    end
    return found, hash, row, is_foreign or is_damaged
end

local function lifetime_of_state(row, now, ttl, probe_ttl)
    if row.state == OPEN then
        return math.max(0, math.ceil(row.open_until - now)) + math.max(ttl, GRACE)
    end
    if row.state == HALF_OPEN and row.probe_until > 0 then
        local lease = row.probe_token == FOREIGN_TOKEN and 0 or math.ceil(row.probe_until - now)
        return math.max(probe_ttl, lease + GRACE)
    end
    return ttl
end

-- The seconds for which the key lives, counted by the clock that set the row's times; nil: for ever.
local function lifetime(row, now, ttl, probe_ttl)
    local locked = row.override ~= ""
    if locked and row.override_until == 0 then
        return nil
    end
    local steered = math.max(row.hold_until, locked and row.override_until or 0)
    local least = steered > now and math.ceil(steered - now) + GRACE or 0
    return math.max(least, lifetime_of_state(row, now, ttl, probe_ttl))
end

-- Writes the fields whose text is new, and adds them to `found`. A field that is missing means 0 or no text, so such a
-- value is not written into a hash that lacks the field.
local function write_row(found, hash, row, changes)
    local size = #found
    local last = size
    local function put(name, written)
        if hash[name] ~= written and (hash[name] or written ~= "0" and written ~= "") then
            found[last + 1], found[last + 2] = name, written
            last = last + 2
        end
    end
    for name, value in pairs(changes) do
        put(name, LARGEST[name] and text(value) or value)
    end
    if changes.state or changes.open_until or changes.probe_until then
        local active = row.probe_until > 0 and "True" or "False"
        put("half_open_probe_active", active)
        put("written", signature(row, active))
    end
    if last > size then
        redis.call("HSET", KEYS[1], unpack(found, size + 1))
    end
end

-- `seconds` is how long the key lives, nil for ever; a life of `left` milliseconds is not shortened.
local function keep_alive(seconds, left)
    if not seconds then
        redis.call("PERSIST", KEYS[1])
    elseif left ~= ENDLESS and left < seconds * 1000 then
        redis.call("EXPIRE", KEYS[1], seconds)
    end
end

-- Runs a rule. ARGV: the `count` parameters of the rule, which `given` holds by name; then ttl and
-- half_open_probe_ttl, both empty if keys never expire; then `ADDS` if the script may create a missing key, otherwise
-- it answers with the clock alone. The answer is the hash: the fields that were found, then those that were written,
-- then the clock.
local function apply(rule, given, count, only_prolongs)
    local now = given.now or clock()
    given.now = now
    local found, hash, row, is_whole = read_row()
    local change = rule(row, given)
    if change.where == false then
        return false
    end
    if #found == 0 and ARGV[count + 3] ~= ADDS then
        return text(clock())
    end
    local changes = change.values
    changes.previous_state = row.state
    for name, value in pairs(changes) do
        if row[name] == value and not is_whole then
            changes[name] = nil
        else
            row[name] = value
        end
    end
    local ttl, probe_ttl = tonumber(ARGV[count + 1]), tonumber(ARGV[count + 2])
    local left = only_prolongs and redis.call("PTTL", KEYS[1]) or ABSENT
    write_row(found, hash, row, is_whole and row or changes)
    keep_alive(ttl and lifetime(row, now, ttl, probe_ttl), left)
    found[#found + 1] = text(now)
    return found
end
