local function replace_state(row, given)
    local claimed = given.probe == 1
    local kept = given.probe == KEEP
    local same = given.state == ANY_STATE or given.state == row.state
    return {
        where = given.expected == ANY_STATE or row.state == given.expected,
        values = {
            state = (given.state == ANY_STATE and row.state or given.state),
            generation = row.generation + 1,
            failure_count = (given.failure_count == KEEP and row.failure_count or given.failure_count),
            success_count = 0,
            last_failure_time = (
                given.last_failure_time == KEEP
                and row.last_failure_time
                or given.last_failure_time
            ),
            open_until = (given.open_until == KEEP and row.open_until or given.open_until),
            open_seconds = (given.state == CLOSED and 0 or row.open_seconds),
            probe_token = (kept and row.probe_token or (claimed and given.token or "")),
            probe_until = (kept and row.probe_until or (claimed and given.now + given.lease or 0)),
            closed_at = (given.state == CLOSED and 0 or row.closed_at),
            history = (
                same
                and row.history
                or append(row.history, given.now, row.state, given.state, REPLACED, given.label)
            ),
        },
    }
end
