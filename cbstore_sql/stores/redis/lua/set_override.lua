local function set_override(row, given)
    local shown = when(given.mode == CLOSED, OVERRIDE_CLOSED, OVERRIDE_SHADOW)
    local cause = when(given.mode == OPEN, OVERRIDE_OPEN, shown)
    return {
        values = {
            override = given.mode,
            override_until = when(given.seconds > 0, given.now + given.seconds, 0),
            override_by = given.by,
            override_reason = given.reason,
            history = append(row.history, given.now, row.state, row.state, cause, given.label),
        },
    }
end
