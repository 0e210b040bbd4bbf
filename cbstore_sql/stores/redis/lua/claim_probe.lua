local function claim_probe(row, given)
    local due = row.state == OPEN and row.open_until <= given.now
    local lapsed = row.state == HALF_OPEN and row.probe_until <= given.now
    local repeated = row.state == HALF_OPEN and row.probe_token == given.token and row.probe_until > given.now
    local expired = row.override_until > 0 and row.override_until <= given.now
    local in_force = row.override_until == 0 or row.override_until > given.now
    local unlocked = row.override ~= OPEN or expired
    local unheld = row.hold_until <= given.now or row.override == CLOSED and in_force
    return {
        where = repeated or unlocked and unheld and (due or lapsed),
        values = {
            state = HALF_OPEN,
            generation = (repeated and row.generation or row.generation + 1),
            success_count = (row.state == OPEN and 0 or row.success_count),
            probe_token = given.token,
            probe_until = (repeated and row.probe_until or given.now + given.lease),
            history = (
                row.state == OPEN
                and append(row.history, given.now, OPEN, HALF_OPEN, PROBE_CLAIMED, given.label)
                or row.history
            ),
        },
    }
end
