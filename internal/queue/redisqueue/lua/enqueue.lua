#!lua
-- Adds the jobs of one or more callers, all or none of each caller's.
--
-- ARGV    4 most jobs in the queue, 0 is no limit
--         5 length of a generation of remembered ids, in ticks (half the window)
--         6 how long a generation lives, in milliseconds
--         7 number of callers, then for each how many jobs it has
--         then for each job: lane, hash of its id (12 bytes, '' for a wake-up),
--         entry without sequence and time
-- RESULT  1 whether this call created the queue (1 or 0)
--         2 one character for each job: 1 added, 0 duplicate, F its caller is
--         refused because the queue is full
--
-- When memory is full, Redis refuses the script as a whole.

local most, span, ttl, callers = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])

local f = fields('n', 'seq', 'gens', 'inc', 'paused', 'held', 'gap', 'room', 'tat')
local made = 0
if not f then
  f, made = {}, 1
end
local depth, seq = tonumber(f.n or 0), tonumber(f.seq or 0)
local first = seq

-- The generations in the window, as key prefixes: the current one and those before. A
-- generation has a number of its own, so that a dropped one does not come back when the
-- clock is set back. An id is 12 bytes in one of 16 sets: a call looks up many ids at once,
-- and no set takes long to delete.
local gen, gens, live, current = math.floor(now / span), {}, {}, nil
for g, inc in string.gmatch(f.gens or '', '(%-?%d+):(%d+)') do
  local n = tonumber(g)
  local prefix = base .. ':d:' .. inc .. ':'
  if n < gen - 2 then
    local keys = {}
    for i = 0, 15 do keys[i + 1] = prefix .. i end
    redis.call('UNLINK', unpack(keys))
  else
    gens[#gens + 1] = g .. ':' .. inc
    if n <= gen then live[#live + 1] = prefix end
    if n == gen then current = prefix end
  end
end

-- seen[id] is true for ids that are remembered or come a second time.
local seen, sets = {}, {}
local function load_seen(jobs)
  for i = 8 + callers, 7 + callers + 3 * jobs, 3 do
    local hash = ARGV[i + 1]
    if hash ~= '' then
      local set = string.byte(hash) % 16
      local ids = sets[set]
      if ids then ids[#ids + 1] = hash else sets[set] = {hash} end
    end
  end
  for set, ids in pairs(sets) do
    for _, prefix in ipairs(live) do
      for i = 1, #ids, 1000 do
        local last = math.min(i + 999, #ids)
        local got = redis.call('SMISMEMBER', prefix .. set, unpack(ids, i, last))
        for k = i, last do
          if got[k - i + 1] == 1 then seen[ids[k]] = true end
        end
      end
    end
  end
end

-- Admitted ids, by set.
local fresh = {}
local function admit(hash)
  if seen[hash] then return false end
  seen[hash] = true
  local set = string.byte(hash) % 16
  local ids = fresh[set]
  if ids then ids[#ids + 1] = hash else fresh[set] = {hash} end
  return true
end
local function remember()
  if next(fresh) and not current then
    local inc = int(tonumber(f.inc or 0) + 1)
    gens[#gens + 1] = int(gen) .. ':' .. inc
    current = base .. ':d:' .. inc .. ':'
    redis.call('HSET', meta, 'inc', inc)
  end
  for set, ids in pairs(fresh) do
    in_chunks('SADD', current .. set, ids)
    redis.call('PEXPIRE', current .. set, ttl, 'NX')
  end
end

-- wakeup_needed is false if a job without a lease waits in the lane: it will see the
-- change.
local function wakeup_needed(lane)
  local n = redis.call('LLEN', lane_key(lane))
  if n ~= 1 then return n == 0 end
  local record = redis.call('HGET', state, lane)
  return record and string.byte(record, 10) > 0
end

local total, answer, woke, dup = 0, {}, false, 0
for c = 1, callers do total = total + ARGV[7 + c] end
load_seen(total)
local at = 7 + callers
for c = 1, callers do
  local jobs = tonumber(ARGV[7 + c])
  if most > 0 and depth + jobs > most then
    answer[#answer + 1] = string.rep('F', jobs)
    at = at + jobs * 3
  else
    for _ = 1, jobs do
      local lane, hash = ARGV[at + 1], ARGV[at + 2]
      local new
      if hash == '' then new = wakeup_needed(lane) else new = admit(hash) end
      if new then
        seq, depth = seq + 1, depth + 1
        if push(lane, seq, ARGV[at + 3]) then woke = true end
        answer[#answer + 1] = '1'
      else
        dup = dup + 1
        answer[#answer + 1] = '0'
      end
      at = at + 3
    end
  end
end
if seq == first and dup == 0 then return {0, table.concat(answer)} end

write_lanes()
remember()
local added = seq - first
local remembered = table.concat(gens, ',')
if tonumber(f.v or 0) < schema then redis.call('HSET', meta, 'v', int(schema)) end
if remembered ~= (f.gens or '') then redis.call('HSET', meta, 'gens', remembered) end
if added > 0 then redis.call('HSET', meta, 'n', int(depth), 'seq', int(seq)) end
count('enq', added)
count('dup', dup)
write_counters()
if woke and opens_at(f) <= now then redis.call('ZADD', wake, 0, '1') end
return {made, table.concat(answer)}
