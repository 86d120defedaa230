#!lua
-- For the suite, whose restart is that of an engine which is alone: every lease
-- runs out at once, as when all processes have died and their time has passed.

for _, m in ipairs(redis.call('ZRANGE', due, 0, -1)) do
  local lane = string.sub(m, 7)
  local text = redis.call('HGET', state, lane)
  if text then
    local seq, counted, suspect, length = struct.unpack('>I6I2BB', text)
    if length > 0 then
      redis.call('HSET', state, lane, struct.pack('>I6I2BB', seq, counted + suspect, 1, 0) .. string.sub(text, 11 + length))
      redis.call('ZADD', due, int(now), m)
      count('stalled', 1)
      count('inflight', -1)
    end
  end
end
write_counters()
local f = fields('paused', 'held', 'gap', 'room', 'tat')
if f then wake_if_due(f) end
return {}
