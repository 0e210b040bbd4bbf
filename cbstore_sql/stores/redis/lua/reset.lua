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
            score = 0,
            closed_at = 0,
            hold_until = 0,
            history = (
                row.state == CLOSED
                and row.history
                or append(row.history, given.now, row.state, CLOSED, RESET, given.label)
            ),
        },
    }
end
