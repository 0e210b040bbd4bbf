local function set_override(row, given)
    local shown = (given.mode == CLOSED and OVERRIDE_CLOSED or OVERRIDE_SHADOW)
    local cause = (given.mode == OPEN and OVERRIDE_OPEN or shown)
    return {
        values = {
            override = given.mode,
            override_until = (given.seconds > 0 and given.now + given.seconds or 0),
            override_by = given.by,
            override_reason = given.reason,
            history = append(row.history, given.now, row.state, row.state, cause, given.label),
        },
    }
end
