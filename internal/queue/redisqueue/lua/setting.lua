#!lua flags=allow-oom
-- Changes a setting of the queue.
--
-- ARGV    4 hold, limit, pause or resume; hold and limit create the queue
--         5 hold: for how long from now, in ticks, '' to release
--           limit: rate, as a number that people read
--         6 hold: reason. limit: burst
--         7 limit: ticks between two jobs, 0 is no limit
--         8 limit: depth of a burst, in ticks
-- RESULT  1, or 0 if the queue does not exist

local what = ARGV[4]
local f = fields('paused', 'held', 'gap', 'room', 'tat')
if not f then
  if what == 'pause' or what == 'resume' then return 0 end
  f = {}
end
local set = {'v', int(schema)}
local function change(name, value)
  f[name] = value
  append(set, name, value)
end

if what == 'pause' then
  change('paused', '1')
elseif what == 'resume' then
  change('paused', '0')
elseif what == 'hold' then
  change('held', ARGV[5] == '' and '' or int(now + tonumber(ARGV[5])))
  change('why', ARGV[6])
elseif what == 'limit' then
  change('rate', ARGV[5])
  change('burst', ARGV[6])
  change('gap', ARGV[7])
  change('room', ARGV[8])
  if f.tat then change('tat', int(theoretical_arrival(f))) end
end
redis.call('HSET', meta, unpack(set))
wake_if_due(f)
return 1
