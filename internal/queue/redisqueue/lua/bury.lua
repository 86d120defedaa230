#!lua
-- Adds dead letters that come from another engine, in the order of their numbers
-- there; those that came already are passed over. The queue is made if need be.
--
-- ARGV    4 and further, for each: its number there, entry without sequence and
--         time, when it was enqueued in ticks, lane, attempts, error, time of
--         death in ticks
-- RESULT  how many were added, and the highest number that a letter has

local f = fields('lastdead', 'moved') or {}
local last, moved, added = tonumber(f.lastdead or 0), tonumber(f.moved or 0), 0
for i = 4, #ARGV, 7 do
  local number = tonumber(ARGV[i])
  if number > moved then
    moved, added = number, added + 1
    last = math.max(last + 1, number)
    local entry = struct.pack('>I6', 0) .. struct.pack('>d', tonumber(ARGV[i + 2])) .. ARGV[i + 1]
    redis.call('XADD', dead, int(last) .. '-0', 'entry', entry, 'lane', ARGV[i + 3], 'attempts', ARGV[i + 4],
      'err', ARGV[i + 5], 'died', ARGV[i + 6])
  end
end
redis.call('HSET', meta, 'v', int(schema), 'lastdead', int(last), 'moved', int(moved))
count('dead', added)
count('enq', added)
flush()
return {added, last}
