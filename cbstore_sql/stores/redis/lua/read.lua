return answer(read_row(), tonumber(ARGV[1]) or clock())
