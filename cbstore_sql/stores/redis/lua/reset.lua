local function reset(row, given)
    return {
        values = {
            state = CLOSED,
            generation = row.generation + 1,
            failure_count = 0,
            success_count = 0,
            last_failure_time = 0,
            open_until = 0,
            open_seconds = 0,
            probe_token = "",
            probe_until = 0,
        },
    }
end

return apply(reset, {"now"})
