local function record_failure(row, given)
    local count = row.failure_count + given.failures
    local trips = row.state == HALF_OPEN or row.state == CLOSED and count >= given.failure_threshold
    local seconds = next_open_seconds(row, given)
    local prolonged = larger(row.open_until, given.now + given.recovery_timeout)
    local kept = when(row.state == OPEN, prolonged, row.open_until)
    return {
        where = given.generation == UNFENCED or permitted(row, given),
        values = {
            state = when(trips, OPEN, row.state),
            generation = when(trips, row.generation + 1, row.generation),
            failure_count = count,
            success_count = 0,
            last_failure_time = given.now,
            open_until = when(trips, given.now + seconds * given.stretch, kept),
            open_seconds = when(trips, seconds, row.open_seconds),
            probe_token = when(trips, "", row.probe_token),
            probe_until = when(trips, 0, row.probe_until),
        },
    }
end

return apply(record_failure, {
    "now",
    "generation",
    "token",
    "failures",
    "failure_threshold",
    "recovery_timeout",
    "backoff_multiplier",
    "recovery_timeout_cap",
    "stretch",
})
