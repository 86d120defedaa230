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
--         5 claims: lane, attempt * 2 + suspect, entry without sequence

local want, lease, longest, nonce = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local number, outcomes = tonumber(ARGV[8]), tonumber(ARGV[9])

local f = fields('fence', 'paused', 'held', 'gap', 'room', 'tat', 'lastdead')
if not f then return {} end
local fence, gap, room = tonumber(f.fence or 0), tonumber(f.gap or 0), tonumber(f.room or 0)

-- Records are read once and written once, at the end; false is none. Up to 512
-- short fields would be a list, which is searched from its begin for each lane: one
-- that is long prevents that. As a record it says nothing.
local wide, zeros = '\0wide', string.rep('\0', 80)
local records, touched, iswide = {}, {}, nil
local function load(lanes)
  local ask, n = {}, 0
  if iswide == nil then ask[1], n = wide, 1 end
  for i = 1, #lanes do
    if records[lanes[i]] == nil then
      n = n + 1
      ask[n] = lanes[i]
    end
  end
  for i = 1, n, 1000 do
    local last = math.min(i + 999, n)
    local got = redis.call('HMGET', state, unpack(ask, i, last))
    for k = i, last do records[ask[k]] = got[k - i + 1] end
  end
  if iswide == nil then iswide = records[wide] end
end
local function token(r) return string.sub(r, 11, 10 + string.byte(r, 10)) end
local function lasterr(r) return string.sub(r, 11 + string.byte(r, 10)) end

-- note changes a record. One that says nothing is none.
local function note(lane, seq, counted, suspect, held, err)
  touched[lane] = true
  if held == '' and counted == 0 and suspect == 0 and err == '' then
    records[lane] = false
  else
    records[lane] = struct.pack('>I6I2BB', seq, math.min(counted, 65535), suspect, #held) .. held .. err
  end
end

-- lostentry is what is left of an entry whose body was lost: no time, flags or id.
local lostentry = string.rep('\0', 11)
local function bury(lane, r, entry, err)
  local _, counted = struct.unpack('>I6I2', r)
  local id = math.max(number, tonumber(f.lastdead or 0) + 1)
  number = number + 1
  f.lastdead = int(id)
  redis.call('XADD', dead, f.lastdead .. '-0', 'entry', entry, 'lane', lane, 'attempts', counted + 1,
    'err', err ~= '' and err or lasterr(r), 'died', int(now))
  redis.call('HSET', meta, 'lastdead', f.lastdead)
  count('dead', 1)
end

-- behead takes the first job of a lane off, whose member of due is given; what is
-- behind it is due at once. It returns whether there was one.
local function behead(lane, member)
  local list = lanekey(lane)
  local behind, had = redis.call('LINDEX', list, '1'), 1
  if behind then
    redis.call('LTRIM', list, '1', '-1')
    local place = string.sub(behind, 1, 6)
    put(dueadd, nowtext, place .. lane)
    put(headadd, int(sequence(place)), lane)
  else
    had = redis.call('UNLINK', list)
    headrem[#headrem + 1] = lane
  end
  duerem[#duerem + 1] = member
  bodyrem[#bodyrem + 1] = string.sub(member, 1, 6)
  touched[lane], records[lane] = true, false
  return had == 1
end

-- finish ends the job that a lane is leased for.
local function finish(lane, r, verdict, err)
  local head = verdict == 4 and redis.call('LINDEX', lanekey(lane), 0)
  local after = head and rest(head)
  if behead(lane, string.sub(r, 1, 6) .. lane) then
    count('n', -1)
    if verdict == 1 then
      count('done', 1)
    else
      bury(lane, r, string.sub(head, 1, 6) .. (after or lostentry), err)
    end
  end
end

local refused, began = {}, number
if outcomes > 0 then
  local lanes = {}
  for i = 1, outcomes do lanes[i] = ARGV[5 + 5 * i] end
  load(lanes)
  for i = 1, outcomes do
    local at = 5 + 5 * i
    local lane, named, verdict = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local r = records[lane]
    if not r or named == '' or token(r) ~= named then
      refused[#refused + 1] = lane
    else
      count('inflight', -1)
      if verdict == '1' or verdict == '4' then
        finish(lane, r, tonumber(verdict), ARGV[at + 4])
      else
        local seq, counted, suspect = struct.unpack('>I6I2B', r)
        local err = lasterr(r)
        if verdict == '2' then
          count('retried', 1)
          counted, err = counted + 1, ARGV[at + 4]
        end
        note(lane, seq, counted, suspect, '', err)
        put(dueadd, now + ARGV[at + 3], string.sub(r, 1, 6) .. lane)
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

-- Nor is a hold longer.
if (tonumber(f.held or '') or 0) > now + longest then
  f.held = ''
  redis.call('HSET', meta, 'held', '')
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
    local r = records[lanes[i]]
    put(dueadd, r and token(r) ~= '' and now + lease or now, m)
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
  -- The heads, and what is long of them with one call.
  local entries, ask, whose = {}, {}, {}
  for i, lane in ipairs(lanes) do
    local head = redis.call('LINDEX', lanekey(lane), '0')
    if head and #head == 6 then
      ask[#ask + 1] = head
      whose[#ask] = i
    elseif head then
      entries[i] = string.sub(head, 7)
    end
  end
  for k = 1, #ask, 1000 do
    local got = redis.call('HMGET', bodies, unpack(ask, k, math.min(k + 999, #ask)))
    for j = 1, #got do entries[whose[k + j - 1]] = got[j] end
  end
  local till = int(now + lease)
  for i, lane in ipairs(lanes) do
    local r, m, entry = records[lane], members[i], entries[i]
    local counted, suspect, err, held = 0, 0, '', false
    if r then
      local _
      _, counted, suspect = struct.unpack('>I6I2B', r)
      err, held = lasterr(r), token(r) ~= ''
    end
    if held then count('inflight', -1) end
    if not entry then -- it was lost: the lane must not stand in the way
      if behead(lane, m) then count('n', -1) end
      count('healed', 1)
    else
      if held then -- its lease has run out
        count('stalled', 1)
        counted, suspect = counted + suspect, 1
      end
      fence, n = fence + 1, n + 1
      note(lane, sequence(m), counted, suspect, int(fence) .. '.' .. nonce, err)
      put(dueadd, till, m)
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
  if r then put(set, lane, r) else gone[#gone + 1] = lane end
end
if iswide == false and next(set) then put(set, wide, zeros) end
many('HDEL', state, gone)
many('HSET', state, set)
flush()
return {capped(announce(f)), number - began, refused, firsttoken, claims}
