#!lua flags=allow-oom
-- Settles outcomes, then claims.
--
-- ARGV    4 how many to claim
--         5 length of the lease, in ticks
--         6 the longest delay, in ticks
--         7 nonce of the tokens that this call gives
--         8 the first number for dead letters (as many as there are dead outcomes)
--         9 number of outcomes, then for each: lane, token, verdict (1 done, 2
--         retry, 3 postpone, 4 dead), delay in ticks, error
-- RESULT  nothing when the queue does not exist, else
--         1 for how long nothing will be due, in ticks
--         2 how many numbers for dead letters were used
--         3 lanes whose outcome was refused
--         4 the counter of the first token: the i-th claim's is <counter+i-1>.<nonce>
--         5 claims: lane, attempt * 2 + suspect, entry

local want, lease, longest, nonce = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local number, outcomes = tonumber(ARGV[8]), tonumber(ARGV[9])

local f = fields('fence', 'paused', 'held', 'gap', 'room', 'tat', 'lastdead')
if not f then return {} end
local fence, gap, room = tonumber(f.fence or 0), tonumber(f.gap or 0), tonumber(f.room or 0)

-- Records are read once and written once, at the end.
local records, touched = {}, {}
local blank = {counted = 0, suspect = 0, token = '', err = ''}
local function load(lanes)
  local ask, n = {}, 0
  for i = 1, #lanes do
    if not records[lanes[i]] then
      n = n + 1
      ask[n] = lanes[i]
    end
  end
  for i = 1, n, 1000 do
    local last = math.min(i + 999, n)
    local got = redis.call('HMGET', state, unpack(ask, i, last))
    for k = i, last do
      local text = got[k - i + 1]
      if text then
        local seq, counted, suspect, length = struct.unpack('>I6I2BB', text)
        records[ask[k]] = {
          seq = seq, counted = counted, suspect = suspect,
          token = string.sub(text, 11, 10 + length), err = string.sub(text, 11 + length),
        }
      else
        records[ask[k]] = blank
      end
    end
  end
end

local function bury(lane, r, entry, err)
  local last = tonumber(f.lastdead or 0)
  local id = math.max(number, last + 1)
  number = number + 1
  f.lastdead = int(id)
  redis.call('XADD', dead, int(id) .. '-0', 'entry', entry, 'lane', lane, 'attempts', r.counted + 1,
    'err', err ~= '' and err or r.err, 'died', int(now))
  redis.call('HSET', meta, 'lastdead', f.lastdead)
  count('dead', 1)
end

local function finish(lane, r, verdict, err)
  local list = lanekey(lane)
  local entry = redis.call('LPOP', list)
  put(duerem, member(r.seq, lane))
  if entry then
    count('n', -1)
    if verdict == 1 then count('done', 1) else bury(lane, r, entry, err) end
  end
  local head = redis.call('LINDEX', list, 0)
  if head then
    local seq = sequence(head)
    put(dueadd, int(now), member(seq, lane))
    put(headadd, int(seq), lane)
  else
    put(headrem, lane)
  end
  records[lane] = blank
end

local refused, began = {}, number
if outcomes > 0 then
  local lanes = {}
  for i = 1, outcomes do lanes[i] = ARGV[5 + 5 * i] end
  load(lanes)
  for i = 1, outcomes do
    local at = 5 + 5 * i
    local lane, token, verdict = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    local r = records[lane]
    if r.token == '' or r.token ~= token then
      refused[#refused + 1] = lane
    else
      count('inflight', -1)
      touched[lane] = true
      r.token = ''
      if verdict == 1 or verdict == 4 then
        finish(lane, r, verdict, ARGV[at + 4])
      else
        if verdict == 2 then
          count('retried', 1)
          r.counted, r.err = math.min(r.counted + 1, 65535), ARGV[at + 4]
        end
        put(dueadd, int(now + tonumber(ARGV[at + 3])), member(r.seq, lane))
      end
    end
  end
  count('refused', #refused)
  move()
end

local tat = arrival(f)
if f.tat and tonumber(f.tat) > tat then
  f.tat = int(tat)
  redis.call('HSET', meta, 'tat', f.tat)
end

-- No due time lies further away than the longest delay, but after the clock was
-- set back.
local function pull()
  local far = redis.call('ZRANGEBYSCORE', due, '(' .. int(now + longest), '+inf', 'LIMIT', 0, 500)
  if #far == 0 then return end
  local lanes = {}
  for i, m in ipairs(far) do lanes[i] = string.sub(m, 7) end
  load(lanes)
  for i, m in ipairs(far) do
    put(dueadd, int(records[lanes[i]].token == '' and now or now + lease), m)
  end
  move()
end

local claims, firsttoken = {}, fence + 1
local function claim()
  if opens(f) > now then return end
  if gap > 0 then
    tat = math.max(tat, now)
    want = math.min(want, math.floor((now + room - tat) / gap))
  end
  if want <= 0 then return end
  local members = redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, want)
  local lanes, n = {}, 0
  for i, m in ipairs(members) do lanes[i] = string.sub(m, 7) end
  load(lanes)
  local till = int(now + lease)
  for i, lane in ipairs(lanes) do
    local r = records[lane]
    local entry = redis.call('LINDEX', lanekey(lane), 0)
    touched[lane] = true
    if not entry then -- its list was lost: the lane must not stand in the way
      put(duerem, members[i])
      put(headrem, lane)
      if r.token ~= '' then count('inflight', -1) end
      count('healed', 1)
      records[lane] = blank
    else
      local counted, suspect = r.counted, r.suspect
      if r.token ~= '' then -- its lease has run out
        count('stalled', 1)
        count('inflight', -1)
        if suspect == 1 then counted = math.min(counted + 1, 65535) end
        suspect = 1
      end
      fence, n = fence + 1, n + 1
      records[lane] = {
        seq = sequence(members[i]), counted = counted, suspect = suspect,
        token = int(fence) .. '.' .. nonce, err = r.err,
      }
      put(dueadd, till, members[i])
      local k = 3 * n
      claims[k - 2], claims[k - 1], claims[k] = lane, (counted + 1) * 2 + suspect, entry
    end
  end
  move()
  if n > 0 then
    count('inflight', n)
    redis.call('HSET', meta, 'fence', int(fence))
  end
  if gap > 0 then
    f.tat = int(tat + n * gap)
    redis.call('HSET', meta, 'tat', f.tat)
  end
end

if want > 0 then
  pull()
  claim()
end

local set, gone = {}, {}
for lane in pairs(touched) do
  local r = records[lane]
  if r.token == '' and r.counted == 0 and r.suspect == 0 and r.err == '' then
    gone[#gone + 1] = lane
  else
    put(set, lane, struct.pack('>I6I2BB', r.seq, r.counted, r.suspect, #r.token) .. r.token .. r.err)
  end
end
many('HDEL', state, gone)
many('HSET', state, set)
flush()
return {capped(announce(f)), number - began, refused, firsttoken, claims}
