io.stdout:setvbuf("line")
print("locale " .. os.setlocale(""))
local before = os.clock()
repeat until os.clock() - before >= 0.01
if tonumber(os.date("%Y")) >= 2024 then print("time passes") end
local source = assert(io.open("/dev/urandom", "rb"))
local one, two = source:read(16), source:read(16)
if one ~= two and math.random() ~= math.random() then print("random differs") end
if #arg == 0 then
    local _, how, status = os.execute("exit 7")
    print("subprocess " .. (how == "exit" and status == 7 and 7 or "refused"))
end
