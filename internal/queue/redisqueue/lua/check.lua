#!lua flags=no-writes,allow-oom
-- Checks some lanes.
--
-- ARGV    4 and further: members of due
-- RESULT  1 how many jobs they have
--         2 what is wrong with them, as text

local jobs, wrong = 0, {}
local function report(lane, ...)
  wrong[#wrong + 1] = string.format('lane %q: ', lane) .. table.concat({...})
end
for i = 4, #ARGV do
  local seq, lane = sequence(ARGV[i]), string.sub(ARGV[i], 7)
  local list = lane_key(lane)
  local n = redis.call('LLEN', list)
  jobs = jobs + n
  if redis.call('ZSCORE', due, ARGV[i]) then -- not gone since it was listed
    local head = redis.call('LINDEX', list, 0)
    if not head then
      report(lane, 'is due and has no job')
    elseif sequence(head) ~= seq then
      report(lane, 'its first job is ', int(sequence(head)), ', not ', int(seq))
    elseif not entry_tail(head) then
      report(lane, 'its first job has no body')
    end
    local h = redis.call('ZSCORE', heads, lane)
    if tonumber(h or -1) ~= seq then report(lane, 'its head is noted as ', tostring(h), ', not ', int(seq)) end
    local record = redis.call('HGET', state, lane)
    if record and sequence(record) ~= seq then report(lane, 'its record is of job ', int(sequence(record)), ', not ', int(seq)) end
  end
end
return {jobs, wrong}
