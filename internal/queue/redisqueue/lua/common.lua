-- What all scripts begin with; it is put behind the first line of each.
--
-- KEYS    1 meta   hash: settings, counters, schema version. It exists if the queue does
--         2 due    zset: a member for each lane that is not empty (6 bytes: sequence
--                  of its head; then the lane), by the moment at which it may be served
--         3 heads  zset: the same lanes by the sequence of their heads
--         4 state  hash: lane -> record, for lanes that are leased or were tried, and
--                  a field that keeps Redis from storing it as a list
--         5 wake   zset (key :mark): one member when something is due, for who blocks on it
--         6 dead   stream: dead letters, id <number>-0
--         7 bodies hash: sequence -> what follows it in an entry that is long
-- ARGV    1 base   what the keys of lanes (base:l:<lane>, lists of entries) and of
--                  remembered ids (base:d:<generation>:<part>, sets) begin with
--         2 now    in ticks, or '' for the server's clock, in microseconds
--         3 schema the highest version that the caller knows
--
-- An entry is 6 bytes of sequence, 8 of enqueue time (a double), 1 of flags (1:
-- redriven), 2 of length of the id, the id, the body. Numbers are big-endian. A
-- list holds the sequence alone where the rest is long: Redis moves what is in a list
-- with each change at its ends, and asks for memory anew.
-- A record is 6 bytes of sequence, 2 of counted attempts, 1 suspect, 1 of length of
-- the token, the token ('' when nobody holds the lane), the last error. A lane
-- without a record is held by nobody and was never tried.
--
-- A script that fails half way is not undone, so refusals come before writes.

local meta, due, heads, state, wake, dead, bodies = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local base, now, schema = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end

local never = math.huge

-- Redis writes a number that it gets from Lua with 17 digits, which takes longer
-- than many a command: what is used often is made text once.
local format = string.format
local function int(n) return format('%d', n) end
local now_text = int(now)

-- Fields of meta by name; nil where the queue does not exist.
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

-- Counters are collected, and written once.
local counts = {}
local function count(name, n) counts[name] = (counts[name] or 0) + n end
local function write_counters()
  for name, n in pairs(counts) do
    if n ~= 0 then redis.call('HINCRBY', meta, name, int(n)) end
  end
end

-- A command over any number of arguments, in calls of a size that Lua can unpack.
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

-- push puts an entry (without sequence and time) at the tail of its lane. What is
-- short stays in the list: a hash of few short fields would be searched like one.
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

-- entry_tail is what follows the sequence in an entry, given the element of the list; nil
-- when it was lost.
local function entry_tail(element)
  if #element > 6 then return string.sub(element, 7) end
  return redis.call('HGET', bodies, element) or nil
end

-- the limit's theoretical arrival time: a clock or a limit that has changed must
-- not put it further away than a burst
local function theoretical_arrival(f)
  local tat = tonumber(f.tat or '') or -never
  return math.min(tat, now + tonumber(f.room or 0))
end

-- when the queue as a whole may hand out
local function opens_at(f)
  if f.paused == '1' then return never end
  local t = tonumber(f.held or '') or -never
  local gap = tonumber(f.gap or 0)
  if gap > 0 then t = math.max(t, theoretical_arrival(f) + gap - tonumber(f.room)) end
  return t
end

-- For how long nothing will be due.
local function next_due(f)
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  local t = first[2] and tonumber(first[2]) or never
  return math.max(0, math.max(t, opens_at(f)) - now)
end

-- wake_if_due leaves the wake-up exactly when something is due: one of those who block
-- on it wakes, and passes it on if there is more than it can take.
local function wake_if_due(f)
  local left = next_due(f)
  if left <= 0 then redis.call('ZADD', wake, 0, '1') else redis.call('DEL', wake) end
  return left
end

-- Integers that a reply can carry.
local function reply_int(n) return math.min(n, 4e15) end
