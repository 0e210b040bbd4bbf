local function force_open(row, given)
    return {
        values = {
            state = OPEN,
            generation = row.generation + 1,
            success_count = 0,
            last_failure_time = larger(row.last_failure_time, given.now),
            open_until = larger(row.open_until, given.now + given.seconds),
            probe_token = "",
            probe_until = 0,
            history = (
                row.state == OPEN
                and row.history
                or append(row.history, given.now, row.state, OPEN, FORCED, given.label)
            ),
        },
    }
end
