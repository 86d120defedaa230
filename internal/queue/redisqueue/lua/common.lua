-- The beginning of all scripts: it is inserted after the first line of each.
--
-- KEYS    1 meta   hash: settings, counters, schema version; it exists if the queue does
--         2 due    zset: a member for each lane with jobs (6 bytes: sequence
--                  of its head; then the lane), by the time at which it may be served
--         3 heads  zset: the same lanes by the sequence of their heads
--         4 state  hash: lane -> record, for lanes that are leased or were tried, and
--                  a field that keeps Redis from storing it as a list
--         5 wake   zset (key :mark): one member when a job is due, for blocking readers
--         6 dead   stream: dead letters, id <number>-0
--         7 bodies hash: sequence -> the rest of a long entry
-- ARGV    1 base   prefix of the keys of lanes (base:l:<lane>, lists of entries) and of
--                  remembered ids (base:d:<generation>:<part>, sets)
--         2 now    in ticks, or '' for the server's clock, in microseconds
--         3 schema the highest version that the caller knows
--
-- An entry is 6 bytes of sequence, 8 of enqueue time (a double), 1 of flags (1: redriven),
-- 2 of length of the id, the id, the body. Numbers are big-endian. The list of a lane has
-- only the sequence of a long entry, because Redis copies list nodes with each change at
-- the list's ends. A record is 6 bytes of sequence, 2 of counted attempts, 1 suspect, 1 of
-- length of the token, the token ('' without a lease), the last error. A lane without a
-- record has no lease and was never tried.
--
-- A script that fails half way is not undone, so refusals come before writes.

local meta, due, heads, state, wake, dead, bodies = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local base, now, schema = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end

local never = math.huge

-- Redis formats a number from Lua with 17 digits, which takes longer than many commands: a
-- number that is used often is formatted once.
local format = string.format
local function int(n) return format('%d', n) end
local now_text = int(now)

-- fields returns fields of meta by name; nil if the queue does not exist.
local function fields(...)
  local names = {'v', ...}
  local got, f = redis.call('HMGET', meta, unpack(names)), {}
  if not got[1] then return nil end
  if tonumber(got[1]) > schema then
    error({err = 'NEWER the queue has schema ' .. got[1] .. ', this program knows ' .. schema .. ': start the newer program again'})
  end
  for i, name in ipairs(names) do f[name] = got[i] or nil end
  return f
end

-- Counters are collected and written once.
local counts = {}
local function count(name, n) counts[name] = (counts[name] or 0) + n end
local function write_counters()
  for name, n in pairs(counts) do
    if n ~= 0 then redis.call('HINCRBY', meta, name, int(n)) end
  end
end

-- in_chunks calls a command with any number of arguments, as many at once as Lua can
-- unpack.
local function in_chunks(command, key, args)
  for i = 1, #args, 1000 do
    redis.call(command, key, unpack(args, i, math.min(i + 999, #args)))
  end
end

local function lane_key(lane) return base .. ':l:' .. lane end
local function sequence(text) return (struct.unpack('>I6', text)) end

-- lanes that become due, and heads that change, as arguments for ZADD and ZREM
local due_add, due_rem, head_add, head_rem = {}, {}, {}, {}
-- bodies that come and go, as arguments for HSET and HDEL
local body_add, body_rem = {}, {}
local function append(list, a, b)
  local n = #list
  list[n + 1] = a
  list[n + 2] = b
end
local function write_lanes()
  in_chunks('ZREM', due, due_rem)
  in_chunks('ZADD', due, due_add)
  in_chunks('ZREM', heads, head_rem)
  in_chunks('ZADD', heads, head_add)
  in_chunks('HDEL', bodies, body_rem)
  in_chunks('HSET', bodies, body_add)
  due_add, due_rem, head_add, head_rem = {}, {}, {}, {}
  body_add, body_rem = {}, {}
end

-- push adds an entry (without sequence and time) to the tail of its lane. Short entries
-- stay in the list: a hash of few short fields would be searched like a list.
local moment, short = struct.pack('>d', now), 64
local function push(lane, seq, payload)
  local place = struct.pack('>I6', seq)
  local element = place
  if #payload > short then
    append(body_add, place, moment .. payload)
  else
    element = place .. moment .. payload
  end
  if redis.call('RPUSH', base .. ':l:' .. lane, element) == 1 then
    append(due_add, now_text, place .. lane)
    append(head_add, int(seq), lane)
    return true
  end
end

-- entry_tail returns an entry's part after the sequence, given its list element; nil if it
-- was lost.
local function entry_tail(element)
  if #element > 6 then return string.sub(element, 7) end
  return redis.call('HGET', bodies, element) or nil
end

-- The limit's theoretical arrival time. After a change of the clock or of the limit it is
-- no more than a burst away.
local function theoretical_arrival(f)
  local tat = tonumber(f.tat or '') or -never
  return math.min(tat, now + tonumber(f.room or 0))
end

-- When the queue as a whole may hand out jobs.
local function opens_at(f)
  if f.paused == '1' then return never end
  local t = tonumber(f.held or '') or -never
  local gap = tonumber(f.gap or 0)
  if gap > 0 then t = math.max(t, theoretical_arrival(f) + gap - tonumber(f.room)) end
  return t
end

-- next_due returns the time until the next job is due, in ticks.
local function next_due(f)
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  local t = first[2] and tonumber(first[2]) or never
  return math.max(0, math.max(t, opens_at(f)) - now)
end

-- wake_if_due leaves a wake-up if and only if a job is due: one blocked reader takes it,
-- and passes it on if there is more than it can take.
local function wake_if_due(f)
  local left = next_due(f)
  if left <= 0 then redis.call('ZADD', wake, 0, '1') else redis.call('DEL', wake) end
  return left
end

-- reply_int bounds an integer to what a reply can carry.
local function reply_int(n) return math.min(n, 4e15) end
