local function clear_override(row, given)
    return {
        values = {
            override = "",
            override_until = 0,
            override_by = "",
            override_reason = "",
            history = (
                row.override == ""
                and row.history
                or append(row.history, given.now, row.state, row.state, OVERRIDE_CLEARED, given.label)
            ),
        },
    }
end
