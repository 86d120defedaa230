#!lua flags=no-writes,allow-oom
-- Lists dead letters, newest first.
--
-- ARGV    4 only those with a number below this, '' for all
--         5 the most to return
--         6 1 to leave bodies out
-- RESULT  for each: number, entry, lane, attempts, error, time of death in ticks

local from = '+'
if ARGV[4] ~= '' then from = '(' .. ARGV[4] .. '-0' end
local result = {}
if not fields() then return result end
for _, row in ipairs(redis.call('XREVRANGE', dead, from, '-', 'COUNT', ARGV[5])) do
  local v = row[2]
  local entry = v[2]
  if ARGV[6] == '1' then
    entry = string.sub(entry, 1, 17 + struct.unpack('>I2', entry, 16))
  end
  local n = #result
  result[n + 1] = string.match(row[1], '%d+')
  result[n + 2], result[n + 3], result[n + 4], result[n + 5], result[n + 6] = entry, v[4], v[6], v[8], v[10]
end
return result
