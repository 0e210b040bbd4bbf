-- Shared by every script: the server's clock, and numbers as text.

local function clock()
    local time = redis.call("TIME")
    return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- With 17 digits every double survives the round trip, and a whole number has no point.
local function text(number)
    return string.format("%.17g", number)
end
