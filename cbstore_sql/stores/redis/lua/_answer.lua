-- Shared by every script: the server's clock, numbers as text, and the answer.

-- Returns the time as a number, and a text that gives exactly this number.
local function clock()
    local time = redis.call("TIME")
    local written = time[1] .. "." .. string.sub("00000" .. time[2], -6)
    return tonumber(written), written
end

-- The answer is one text, because Redis writes a list to the socket in several pieces. A damaged hash may hold the
-- separator; then the answer is the list. `is_known` says that no text of the hash can hold the separator.
local function answer(found, now, is_known)
    found[#found + 1] = now
    if not is_known and string.find(table.concat(found), "\0", 1, true) then
        return found
    end
    return table.concat(found, "\0")
end
