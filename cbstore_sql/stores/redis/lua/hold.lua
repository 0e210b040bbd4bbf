local function hold(row, given)
    return {values = {hold_until = larger(row.hold_until, given.now + given.seconds)}}
end
