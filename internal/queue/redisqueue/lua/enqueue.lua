#!lua
-- Adds the jobs of one or more callers, each caller's all or none.
--
-- ARGV    4 most jobs in the queue, 0 is no limit
--         5 length of a generation of remembered ids, in ticks (half the window)
--         6 how long a bucket of ids lives, in milliseconds
--         7 number of callers, then for each how many jobs it has
--         then for each job: lane, hash of its id (16 bytes, '' for a wake-up),
--         entry without sequence and time
-- RESULT  1 whether the queue was made by this call (1 or 0)
--         2 one character for each job: 1 added, 0 duplicate, F its caller was
--         refused because the queue is full
--
-- Not allowed when memory is full: refused as a whole, before its first line.

local most, span, ttl, callers = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])

local f = fields('n', 'seq', 'gens', 'inc', 'paused', 'held', 'gap', 'room', 'tat')
local made = 0
if not f then
  f, made = {}, 1
end
local depth, seq = tonumber(f.n or 0), tonumber(f.seq or 0)
local first = seq

-- The generations that still count, those before this one as key prefixes.
-- Each has a number of its own: one that was forgotten does not come back when
-- the clock does.
local gen, gens, older, current = math.floor(now / span), {}, {}, nil
for g, inc in string.gmatch(f.gens or '', '(%-?%d+):(%d+)') do
  local n = tonumber(g)
  if n >= gen - 2 then
    gens[#gens + 1] = g .. ':' .. inc
    if n == gen then current = base .. ':d:' .. inc .. ':' end
    if n < gen then older[#older + 1] = base .. ':d:' .. inc .. ':' end
  end
end

local function admit(hash)
  local a, b = string.byte(hash, 1, 2)
  local bucket, field = a * 64 + math.floor(b / 4), string.sub(hash, 3, 14)
  for i = 1, #older do
    if redis.call('HEXISTS', older[i] .. bucket, field) == 1 then return false end
  end
  if not current then
    local inc = int(tonumber(f.inc or 0) + 1)
    gens[#gens + 1] = int(gen) .. ':' .. inc
    current = base .. ':d:' .. inc .. ':'
    redis.call('HSET', meta, 'inc', inc)
  end
  local key = current .. bucket
  if redis.call('HSETNX', key, field, '') == 0 then return false end
  if redis.call('HLEN', key) == 1 then redis.call('PEXPIRE', key, ttl + bucket) end
  return true
end

-- A wake-up tells a lane nothing when a job waits there that nobody runs yet.
local function tells(lane)
  local n = redis.call('LLEN', lanekey(lane))
  if n ~= 1 then return n == 0 end
  local record = redis.call('HGET', state, lane)
  return record and string.byte(record, 10) > 0
end

local answer, fresh, dup = {}, false, 0
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
      if hash == '' then new = tells(lane) else new = admit(hash) end
      if new then
        seq, depth = seq + 1, depth + 1
        if push(lane, seq, ARGV[at + 3]) then fresh = true end
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

move()
local added = seq - first
local remembered = table.concat(gens, ',')
if made == 1 then redis.call('HSET', meta, 'v', int(schema)) end
if remembered ~= (f.gens or '') then redis.call('HSET', meta, 'gens', remembered) end
if added > 0 then redis.call('HSET', meta, 'n', int(depth), 'seq', int(seq)) end
count('enq', added)
count('dup', dup)
flush()
if fresh and opens(f) <= now then redis.call('ZADD', mark, 0, '1') end
return {made, table.concat(answer)}
