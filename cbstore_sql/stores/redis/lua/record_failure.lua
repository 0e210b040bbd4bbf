local function record_failure(row, given)
    local count = (given.successes == 0 and row.failure_count + given.failures or given.failures)
    local current = row.score_generation == row.generation
    local reached = given.trips_alone == 1 or current and row.score >= given.enough
    local by_count = given.test == BY_COUNT and count >= given.failure_threshold
    local by_score = given.test == BY_SCORE and reached
    local trips = row.state == HALF_OPEN or row.state == CLOSED and (by_count or by_score)
    local scores = given.test == BY_SCORE and row.state == CLOSED
    local cause = (
        row.state == HALF_OPEN
        and PROBE_FAILED
        or (given.test == BY_SCORE and SCORE_REACHED or COUNT_REACHED)
    )
    local seconds = next_open_seconds(row, given)
    local prolonged = larger(row.open_until, given.now + given.recovery_timeout)
    local kept = (row.state == OPEN and prolonged or row.open_until)
    return {
        where = given.generation == UNFENCED or permitted(row, given),
        values = {
            state = (trips and OPEN or row.state),
            generation = (trips and row.generation + 1 or row.generation),
            failure_count = count,
            success_count = 0,
            last_failure_time = given.now,
            open_until = (trips and given.now + seconds * given.stretch or kept),
            open_seconds = (trips and seconds or row.open_seconds),
            probe_token = (trips and "" or row.probe_token),
            probe_until = (trips and 0 or row.probe_until),
            score = (scores and lowered(row, given) + given.evidence or row.score),
            score_generation = (scores and row.generation or row.score_generation),
            history = (trips and append(row.history, given.now, row.state, OPEN, cause, given.label) or row.history),
        },
    }
end
