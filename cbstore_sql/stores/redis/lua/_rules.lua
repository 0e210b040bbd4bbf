-- Shared by the rules. Mirrors the helpers in rules.py and `append` in history.py.

local function append(history, now, before, after, cause, label)
    local entry = string.format("%d", math.floor(now * 1000)) .. cause .. string.sub(before, 1, 1)
    return string.sub(entry .. string.sub(after, 1, 1) .. label .. ";" .. history, 1, HISTORY_LENGTH)
end

local function larger(a, b)
    return (a > b and a or b)
end

local function lowered(row, given)
    local lowers = row.score_generation == row.generation and row.score > given.relief
    return (lowers and row.score - given.relief or 0)
end

local function permitted(row, given)
    local same = row.generation == given.generation and row.probe_token == given.token
    return same and (row.state == CLOSED or given.token ~= "")
end

local function next_open_seconds(row, given)
    local longer = row.open_seconds * given.backoff_multiplier
    local capped = (longer < given.recovery_timeout_cap and longer or given.recovery_timeout_cap)
    local grows = row.open_seconds > 0 and given.backoff_multiplier > 1
    return (grows and capped or given.recovery_timeout)
end
