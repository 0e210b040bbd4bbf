local function record_success(row, given)
    local probing = row.state == HALF_OPEN
    local closes = row.success_count + 1 >= given.success_threshold
    local scored = given.test == BY_SCORE and row.score_generation == row.generation and row.score > 0
    local dirty = row.state == CLOSED and (row.failure_count > 0 or row.probe_until > 0 or scored)
    local expected = given.expected == ANY_STATE or row.state == given.expected
    local admitted = given.generation == UNFENCED or permitted(row, given)
    local scores = given.test == BY_SCORE and row.state == CLOSED
    return {
        where = admitted and expected and (probing or dirty),
        values = {
            state = (closes and CLOSED or row.state),
            generation = (probing and row.generation + 1 or row.generation),
            failure_count = (closes and 0 or (probing and row.failure_count or 0)),
            success_count = (closes and 0 or (probing and row.success_count + 1 or 0)),
            open_seconds = (closes and 0 or row.open_seconds),
            probe_token = "",
            probe_until = 0,
            score = (scores and lowered(row, given) or row.score),
            score_generation = (scores and row.generation or row.score_generation),
            closed_at = (probing and closes and given.now or row.closed_at),
            history = (
                probing and closes
                and append(row.history, given.now, HALF_OPEN, CLOSED, PROBE_SUCCEEDED, given.label)
                or row.history
            ),
        },
    }
end
