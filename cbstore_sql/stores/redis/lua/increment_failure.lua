local function increment_failure(row, given)
    return {values = {failure_count = row.failure_count + 1}}
end
