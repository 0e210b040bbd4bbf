local function claim_probe(row, given)
    local due = row.state == OPEN and row.open_until <= given.now
    local lapsed = row.state == HALF_OPEN and row.probe_until <= given.now
    local repeated = row.state == HALF_OPEN and row.probe_token == given.token and row.probe_until > given.now
    return {
        where = due or lapsed or repeated,
        values = {
            state = HALF_OPEN,
            generation = when(repeated, row.generation, row.generation + 1),
            success_count = when(row.state == OPEN, 0, row.success_count),
            probe_token = given.token,
            probe_until = when(repeated, row.probe_until, given.now + given.lease),
        },
    }
end

return apply(claim_probe, {"now", "lease", "token"})
