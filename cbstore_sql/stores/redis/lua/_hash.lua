-- Shared by every operation that may write: the hash as a row, the write and the answer. Mirrors codec.py.

-- Each run of a script pays for each function that it makes, so there are few.

-- With 17 digits every double survives the round trip, and a whole number has no point.
local function text(number)
    return number == 0 and "0" or string.format("%.17g", number)
end

-- Returns the row; then for the part of the hash that the signature covers: the text of `open_until` and whether a
-- probe is active; whether the row must be written whole, because the key is missing, another client changed the
-- breaker, or a text means something else than it says; and whether every text is known to be free of NUL.
local function read_row(found)
    local row, is_damaged, is_known = DEFAULTS, false, true
    local active, written, open_until = "False", "", "0"
    for i = 1, #found, 2 do
        local name, stored = found[i], found[i + 1]
        local largest, value = LARGEST[name], stored
        if largest then
            value = stored ~= "0" and string.find(stored, "^%d[%d.eE+-]*$") and tonumber(stored) or 0
            if value > largest or INTEGER_FIELDS[name] and value % 1 ~= 0 then
                value = 0
            end
            is_damaged = is_damaged or value == 0 and stored ~= "0"
            open_until = name == "open_until" and stored or open_until
            row[name] = value
        elseif name == "state" or name == "previous_state" then
            value = (stored == OPEN or stored == HALF_OPEN) and stored or CLOSED
            is_damaged = is_damaged or value ~= stored
            row[name] = value
        elseif name == "half_open_probe_active" and (stored == "True" or stored == "False") then
            active = stored
        elseif name == "written" then
            written = stored
        elseif name == "override" then
            value = (stored == OPEN or stored == CLOSED or stored == SHADOW) and stored or ""
            is_damaged = is_damaged or value ~= stored
            row[name] = value
        elseif row[name] then
            is_known = is_known and not string.find(stored, "\0", 1, true)
            row[name] = stored
        else
            is_known = false
        end
    end
    if written == row.state .. "|" .. open_until .. "|" .. active then
        return row, open_until, active, is_damaged, is_known and not is_damaged
    end
    open_until = text(row.open_until)
    if written == row.state .. "|" .. open_until .. "|" .. active then
        return row, open_until, active, is_damaged, false
    end
    if #found > 0 then
        row.generation = row.generation + 1
        row.success_count = 0
        row.open_seconds = row.state == CLOSED and 0 or row.open_seconds
        row.probe_token = active == "True" and FOREIGN_TOKEN or ""
        row.probe_until = active == "True" and NO_KNOWN_END or 0
    end
    return row, open_until, active, true, #found == 0
end

-- The seconds for which the key lives, counted by the clock that set the row's times; nil: for ever.
local function lifetime(row, now, ttl, probe_ttl)
    local locked = row.override ~= ""
    if locked and row.override_until == 0 then
        return nil
    end
    local steered = math.max(row.hold_until, locked and row.override_until or 0)
    local least = steered > now and math.ceil(steered - now) + GRACE or 0
    if row.state == OPEN then
        return math.max(least, math.max(0, math.ceil(row.open_until - now)) + math.max(ttl, GRACE))
    end
    if row.state == HALF_OPEN and row.probe_until > 0 then
        local lease = row.probe_token == FOREIGN_TOKEN and 0 or math.ceil(row.probe_until - now)
        return math.max(least, probe_ttl, lease + GRACE)
    end
    return math.max(least, ttl)
end

-- Runs a rule. `given` holds the rule's parameters; `ttl` and `probe_ttl` are "-" if keys never expire; `adds` is "1"
-- if the script may create a missing key, otherwise it answers with the clock alone. The answer is the hash: the fields
-- that were found, then those that were written, then the clock.
local function apply(rule, given, ttl, probe_ttl, adds, only_prolongs)
    local now, now_written = given.now, nil
    if now then
        now_written = text(now)
    else
        now, now_written = clock()
        given.now = now
    end
    local found = redis.call("HGETALL", KEYS[1])
    local row, open_until, active, is_whole, is_known = read_row(found)
    local change = rule(row, given)
    if change.where == false then
        return false
    end
    local size = #found
    if size == 0 and adds ~= "1" then
        local _, written = clock()
        return answer({}, written)
    end
    local changes, state, opened_until = change.values, row.state, open_until
    changes.previous_state = state
    if is_whole then
        -- A field that is missing means 0 or no text, so such a value is not written into a hash that lacks the field.
        local stored = {}
        for i = 1, size, 2 do
            stored[found[i]] = true
        end
        for name, value in pairs(row) do
            row[name] = changes[name] or value
            changes[name] = (stored[name] or row[name] ~= 0 and row[name] ~= "") and row[name] or nil
        end
    end
    -- The fields to write follow those that were found.
    local last = size
    for name, value in pairs(changes) do
        if is_whole or row[name] ~= value then
            row[name] = value
            local written = value
            if name == "open_until" then
                open_until = text(value)
                written = open_until
            elseif value == now then
                written = now_written
            elseif LARGEST[name] then
                written = text(value)
            end
            found[last + 1], found[last + 2] = name, written
            last = last + 2
        end
    end
    local is_active = row.probe_until > 0 and "True" or "False"
    if is_whole or row.state ~= state or open_until ~= opened_until or is_active ~= active then
        found[last + 1], found[last + 2] = "half_open_probe_active", is_active
        found[last + 3], found[last + 4] = "written", row.state .. "|" .. open_until .. "|" .. is_active
        last = last + 4
    end
    local left = only_prolongs and redis.call("PTTL", KEYS[1]) or ABSENT
    if last > size then
        redis.call("HSET", KEYS[1], unpack(found, size + 1))
    end
    -- A life of `left` milliseconds is not shortened.
    local seconds = ttl ~= "-" and lifetime(row, now, tonumber(ttl), tonumber(probe_ttl))
    if not seconds then
        redis.call("PERSIST", KEYS[1])
    elseif left ~= ENDLESS and left < seconds * 1000 then
        redis.call("EXPIRE", KEYS[1], seconds)
    end
    return answer(found, now_written, is_known)
end
