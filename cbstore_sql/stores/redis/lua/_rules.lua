-- What the rules share. Mirrors the helpers in rules.py.

local function when(condition, a, b)
    if condition then
        return a
    end
    return b
end

local function larger(a, b)
    return when(a > b, a, b)
end

local function permitted(row, given)
    local same = row.generation == given.generation and row.probe_token == given.token
    return same and (row.state == CLOSED or given.token ~= "")
end

local function next_open_seconds(row, given)
    local longer = row.open_seconds * given.backoff_multiplier
    local capped = when(longer < given.recovery_timeout_cap, longer, given.recovery_timeout_cap)
    local grows = row.open_seconds > 0 and given.backoff_multiplier > 1
    return when(grows, capped, given.recovery_timeout)
end
