local function record_failure(row, given)
    local count = when(given.successes == 0, row.failure_count + given.failures, given.failures)
    local current = row.score_generation == row.generation
    local reached = given.trips_alone == 1 or current and row.score >= given.enough
    local by_count = given.test == BY_COUNT and count >= given.failure_threshold
    local by_score = given.test == BY_SCORE and reached
    local trips = row.state == HALF_OPEN or row.state == CLOSED and (by_count or by_score)
    local scores = given.test == BY_SCORE and row.state == CLOSED
    local cause = when(
        row.state == HALF_OPEN,
        PROBE_FAILED,
        when(given.test == BY_SCORE, SCORE_REACHED, COUNT_REACHED)
    )
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
            score = when(scores, lowered(row, given) + given.evidence, row.score),
            score_generation = when(scores, row.generation, row.score_generation),
            history = when(trips, append(row.history, given.now, row.state, OPEN, cause, given.label), row.history),
        },
    }
end
