-- Shared by every script: the server's clock, numbers as text, and the answer.

local function clock()
    local time = redis.call("TIME")
    return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- With 17 digits every double survives the round trip, and a whole number has no point.
local function text(number)
    return number == 0 and "0" or string.format("%.17g", number)
end

-- The answer is one text, because Redis writes a list to the socket in several pieces. A damaged hash may hold the
-- separator; then the answer is the list.
local function answer(found, now)
    found[#found + 1] = text(now)
    if string.find(table.concat(found), "\0", 1, true) then
        return found
    end
    return table.concat(found, "\0")
end
