local function replace_state(row, given)
    local claimed = given.probe == 1
    local kept = given.probe == KEEP
    local same = given.state == ANY_STATE or given.state == row.state
    return {
        where = given.expected == ANY_STATE or row.state == given.expected,
        values = {
            state = when(given.state == ANY_STATE, row.state, given.state),
            generation = row.generation + 1,
            failure_count = when(given.failure_count == KEEP, row.failure_count, given.failure_count),
            success_count = 0,
            last_failure_time = when(given.last_failure_time == KEEP, row.last_failure_time, given.last_failure_time),
            open_until = when(given.open_until == KEEP, row.open_until, given.open_until),
            open_seconds = when(given.state == CLOSED, 0, row.open_seconds),
            probe_token = when(kept, row.probe_token, when(claimed, given.token, "")),
            probe_until = when(kept, row.probe_until, when(claimed, given.now + given.lease, 0)),
            closed_at = when(given.state == CLOSED, 0, row.closed_at),
            history = when(
                same,
                row.history,
                append(row.history, given.now, row.state, given.state, REPLACED, given.label)
            ),
        },
    }
end
