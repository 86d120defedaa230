#!lua flags=allow-oom
-- Removes dead letters, to the tail of their lanes or for good. It skips numbers that do
-- not exist.
--
-- ARGV    4 redrive or drop
--         5 and further: their numbers
-- RESULT  how many were taken

local f = fields('seq', 'paused', 'held', 'gap', 'room', 'tat')
if not f then return 0 end
local seq, taken = tonumber(f.seq or 0), 0
for i = 5, #ARGV do
  local id = ARGV[i] .. '-0'
  local row = redis.call('XRANGE', dead, id, id)[1]
  if row then
    local v = row[2]
    redis.call('XDEL', dead, id)
    count('dead', -1)
    if ARGV[4] == 'redrive' then
      seq = seq + 1
      push(v[4], seq, '\1' .. string.sub(v[2], 16))
      count('n', 1)
    else
      count('dropped', 1)
    end
    taken = taken + 1
  end
end
if taken == 0 then return 0 end
write_lanes()
redis.call('HSET', meta, 'v', int(schema), 'seq', int(seq))
write_counters()
wake_if_due(f)
return taken
