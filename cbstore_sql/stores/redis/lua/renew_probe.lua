local function renew_probe(row, given)
    return {
        where = row.state == HALF_OPEN and permitted(row, given),
        values = {probe_until = larger(row.probe_until, given.now + given.lease)},
    }
end
