#!lua
-- For the suite, whose model forgets old generations in all queues whenever one
-- of them is written to.
--
-- ARGV    4 length of a generation, in ticks

local f = fields('gens')
if not f then return {} end
local kept = {}
for g, inc in string.gmatch(f.gens or '', '(%-?%d+):(%d+)') do
  if tonumber(g) >= math.floor(now / tonumber(ARGV[4])) - 2 then kept[#kept + 1] = g .. ':' .. inc end
end
redis.call('HSET', meta, 'gens', table.concat(kept, ','))
return {}
