-- Shared by every operation that may write: the hash as a row, the write and the answer. Mirrors codec.py.

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

-- Returns the fields and their texts as one list, the row, the signature, and whether the row must be written whole,
-- because the key is missing, another client changed the breaker, or a text means something else than it says.
local function read_row()
    local found, row, is_damaged, active, written = redis.call("HGETALL", KEYS[1]), DEFAULTS, false, "False", ""
    for i = 1, #found, 2 do
        local name, stored = found[i], found[i + 1]
        local value = stored
        if LARGEST[name] then
            value = number(name, stored)
            is_damaged = is_damaged or value == 0 and stored ~= "0"
            row[name] = value
        elseif row[name] then
            value = text_field(name, stored)
            is_damaged = is_damaged or value ~= stored
            row[name] = value
        elseif name == "written" then
            written = stored
        elseif name == "half_open_probe_active" and stored == "True" then
            active = stored
        end
    end
    local is_foreign = written ~= signature(row, active)
    if is_foreign and #found > 0 then
        row.generation = row.generation + 1
        row.success_count = 0
        row.open_seconds = row.state == CLOSED and 0 or row.open_seconds
        row.probe_token = active == "True" and FOREIGN_TOKEN or ""
        row.probe_until = active == "True" and NO_KNOWN_END or 0
    end
    -- Another client may have changed only a field that the signature covers: then both fields are written again.
    return found, row, is_foreign and "" or written, is_foreign or is_damaged
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

-- Returns the values that must be written into a hash that may hold anything. A field that is missing means 0 or no
-- text, so such a value is not written into a hash that lacks the field.
local function whole(found, row)
    local values, stored = {}, {}
    for i = 1, #found, 2 do
        stored[found[i]] = true
    end
    for name, value in pairs(row) do
        if stored[name] or value ~= 0 and value ~= "" then
            values[name] = value
        end
    end
    return values
end

-- Writes the values, and adds their fields to `found`.
local function write_row(found, row, written, values)
    local size = #found
    local last = size
    for name, value in pairs(values) do
        found[last + 1], found[last + 2] = name, LARGEST[name] and text(value) or value
        last = last + 2
    end
    local active = row.probe_until > 0 and "True" or "False"
    local now_written = signature(row, active)
    if now_written ~= written then
        found[last + 1], found[last + 2] = "half_open_probe_active", active
        found[last + 3], found[last + 4] = "written", now_written
        last = last + 4
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

-- Runs a rule. `given` holds the rule's parameters; `ttl` and `probe_ttl` are "-" if keys never expire; `adds` is "1"
-- if the script may create a missing key, otherwise it answers with the clock alone. The answer is the hash: the fields
-- that were found, then those that were written, then the clock.
local function apply(rule, given, ttl, probe_ttl, adds, only_prolongs)
    local now = given.now or clock()
    given.now = now
    local found, row, written, is_whole = read_row()
    local change = rule(row, given)
    if change.where == false then
        return false
    end
    if #found == 0 and adds ~= "1" then
        return answer({}, clock())
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
    local left = only_prolongs and redis.call("PTTL", KEYS[1]) or ABSENT
    write_row(found, row, written, is_whole and whole(found, row) or changes)
    keep_alive(ttl ~= "-" and lifetime(row, now, tonumber(ttl), tonumber(probe_ttl)), left)
    return answer(found, now)
end
