-- Shared by every operation: the hash as a row, the clock, the write and the answer. Mirrors codec.py.

local TEXTS = {
    token = true, expected = true, state = true, test = true, mode = true, by = true, reason = true, label = true,
}
local PROBE_ACTIVE = {[true] = "True", [false] = "False"}
local ABSENT, ENDLESS = -2, -1

local function clock()
    local time = redis.call("TIME")
    return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- With 17 digits every double survives the round trip, and a whole number has no point.
local function text(number)
    return string.format("%.17g", number)
end

local function number(name, written)
    local value = written and string.match(written, "^%d[%d.eE+-]*$") and tonumber(written)
    if not value or value > LARGEST[name] or (INTEGER_FIELDS[name] and value ~= math.floor(value)) then
        return 0
    end
    return value
end

local function text_field(name, written)
    if STATE_FIELDS[name] then
        return STATES[written] and written or CLOSED
    end
    if name == "override" then
        return OVERRIDES[written] and written or ""
    end
    return written or ""
end

local function signature(row, active)
    return row.state .. "|" .. text(row.open_until) .. "|" .. PROBE_ACTIVE[active]
end

-- Also returns whether the key is missing.
local function read_row()
    local pairs_found = redis.call("HGETALL", KEYS[1])
    local hash = {}
    for i = 1, #pairs_found, 2 do
        hash[pairs_found[i]] = pairs_found[i + 1]
    end
    local row = {}
    for _, name in ipairs(TEXT_FIELDS) do
        row[name] = text_field(name, hash[name])
    end
    for name in pairs(LARGEST) do
        row[name] = number(name, hash[name])
    end
    local active = hash.half_open_probe_active == PROBE_ACTIVE[true]
    if #pairs_found > 0 and hash.written ~= signature(row, active) then
        row.generation = row.generation + 1
        row.success_count = 0
        row.open_seconds = row.state == CLOSED and 0 or row.open_seconds
        row.probe_token = active and FOREIGN_TOKEN or ""
        row.probe_until = active and NO_KNOWN_END or 0
    end
    return row, #pairs_found == 0
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

-- `seconds` is how long the key lives, nil for ever; a life of `left` milliseconds is not shortened.
local function write_row(row, seconds, left)
    local active = row.probe_until > 0
    local hash = {"half_open_probe_active", PROBE_ACTIVE[active], "written", signature(row, active)}
    for _, name in ipairs(COLUMNS) do
        table.insert(hash, name)
        table.insert(hash, LARGEST[name] and text(row[name]) or row[name])
    end
    redis.call("HSET", KEYS[1], unpack(hash))
    if not seconds then
        redis.call("PERSIST", KEYS[1])
    elseif left ~= ENDLESS and left < seconds * 1000 then
        redis.call("EXPIRE", KEYS[1], seconds)
    end
end

-- Plain ASCII whatever bytes a damaged field holds, so that every client can decode it.
local function quoted(value)
    return (string.gsub(value, "[^%w/._-]", function(byte)
        return string.format("%%%02X", string.byte(byte))
    end))
end

local function answer(row, now)
    local values = {}
    for _, name in ipairs(ANSWER_COLUMNS) do
        table.insert(values, LARGEST[name] and text(row[name]) or quoted(row[name]))
    end
    table.insert(values, text(now))
    return values
end

-- Runs a rule. ARGV: the rule's parameters, in the order of `names`; then ttl and half_open_probe_ttl, both empty if
-- keys never expire; then `ADDS` if the script may create a missing key, otherwise it answers with the clock alone.
local function apply(rule, names, only_prolongs)
    local given = {}
    for i, name in ipairs(names) do
        given[name] = TEXTS[name] and ARGV[i] or tonumber(ARGV[i])
    end
    given.now = given.now or clock()
    local row, is_missing = read_row()
    local change = rule(row, given)
    if change.where == false then
        return false
    end
    if is_missing and ARGV[#names + 3] ~= ADDS then
        return text(clock())
    end
    row.previous_state = row.state
    for name, value in pairs(change.values) do
        row[name] = value
    end
    local ttl, probe_ttl = tonumber(ARGV[#names + 1]), tonumber(ARGV[#names + 2])
    local left = only_prolongs and redis.call("PTTL", KEYS[1]) or ABSENT
    write_row(row, ttl and lifetime(row, given.now, ttl, probe_ttl), left)
    return answer(row, given.now)
end
