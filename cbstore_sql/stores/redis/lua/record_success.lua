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
            state = when(closes, CLOSED, row.state),
            generation = when(probing, row.generation + 1, row.generation),
            failure_count = when(closes, 0, when(probing, row.failure_count, 0)),
            success_count = when(closes, 0, when(probing, row.success_count + 1, 0)),
            open_seconds = when(closes, 0, row.open_seconds),
            probe_token = "",
            probe_until = 0,
            score = when(scores, lowered(row, given), row.score),
            score_generation = when(scores, row.generation, row.score_generation),
            closed_at = when(probing and closes, given.now, row.closed_at),
            history = when(
                probing and closes,
                append(row.history, given.now, HALF_OPEN, CLOSED, PROBE_SUCCEEDED, given.label),
                row.history
            ),
        },
    }
end
