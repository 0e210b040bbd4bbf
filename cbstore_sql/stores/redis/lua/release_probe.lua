local function release_probe(row, given)
    return {
        where = row.state == HALF_OPEN and permitted(row, given),
        values = {generation = row.generation + 1, probe_token = "", probe_until = 0},
    }
end
