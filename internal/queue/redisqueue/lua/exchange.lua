#!lua flags=allow-oom
-- Settles outcomes, then claims.
--
-- ARGV    4 how many to claim
--         5 length of the lease, in ticks
--         6 the longest delay, in ticks
--         7 nonce of this call's tokens
--         8 the first number for dead letters (as many as there are dead outcomes)
--         9 number of outcomes, then for each: lane, token, verdict (1 done, 2
--         retry, 3 postpone, 4 dead), delay in ticks, error
-- RESULT  nothing if the queue does not exist, else
--         1 time until the next job is due, in ticks
--         2 how many numbers for dead letters were used
--         3 lanes whose outcome was refused
--         4 the counter of the first token: the i-th claim's is <counter+i-1>.<nonce>
--         5 claims: lane, attempt * 2 + suspect, entry without sequence

local want, lease, longest, nonce = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local number, outcomes = tonumber(ARGV[8]), tonumber(ARGV[9])

local f = fields('fence', 'paused', 'held', 'gap', 'room', 'tat', 'lastdead')
if not f then return {} end
local fence, gap, room = tonumber(f.fence or 0), tonumber(f.gap or 0), tonumber(f.room or 0)

-- Records are read once and written once, at the end; false is none. A hash of up to 512
-- short fields would be stored as a list, which is searched from its start for each lane:
-- one long field prevents that.
local padding, zeros = '\0wide', string.rep('\0', 80)
local records, touched, is_padded = {}, {}, nil
local function load_records(lanes)
  local ask, n = {}, 0
  if is_padded == nil then ask[1], n = padding, 1 end
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
  if is_padded == nil then is_padded = records[padding] end
end
local function record_token(r) return string.sub(r, 11, 10 + string.byte(r, 10)) end
local function record_error(r) return string.sub(r, 11 + string.byte(r, 10)) end

-- set_record changes a record. One without content is deleted.
local function set_record(lane, seq, counted, suspect, held, err)
  touched[lane] = true
  if held == '' and counted == 0 and suspect == 0 and err == '' then
    records[lane] = false
  else
    records[lane] = struct.pack('>I6I2BB', seq, math.min(counted, 65535), suspect, #held) .. held .. err
  end
end

-- lost_entry is the entry of a job whose body was lost: without time, flags and id.
local lost_entry = string.rep('\0', 11)
local function add_dead(lane, r, entry, err)
  local _, counted = struct.unpack('>I6I2', r)
  local id = math.max(number, tonumber(f.lastdead or 0) + 1)
  number = number + 1
  f.lastdead = int(id)
  redis.call('XADD', dead, f.lastdead .. '-0', 'entry', entry, 'lane', lane, 'attempts', counted + 1,
    'err', err ~= '' and err or record_error(r), 'died', int(now))
  redis.call('HSET', meta, 'lastdead', f.lastdead)
  count('dead', 1)
end

-- pop_head removes the first job of a lane, given the lane's member of due; the next job is
-- due at once. It returns whether there was a job.
local function pop_head(lane, member)
  local list = lane_key(lane)
  local behind, had = redis.call('LINDEX', list, '1'), 1
  if behind then
    redis.call('LTRIM', list, '1', '-1')
    local place = string.sub(behind, 1, 6)
    append(due_add, now_text, place .. lane)
    append(head_add, int(sequence(place)), lane)
  else
    had = redis.call('UNLINK', list)
    head_rem[#head_rem + 1] = lane
  end
  due_rem[#due_rem + 1] = member
  body_rem[#body_rem + 1] = string.sub(member, 1, 6)
  touched[lane], records[lane] = true, false
  return had == 1
end

-- end_job ends the leased job of a lane.
local function end_job(lane, r, verdict, err)
  local head = verdict == 4 and redis.call('LINDEX', lane_key(lane), 0)
  local after = head and entry_tail(head)
  if pop_head(lane, string.sub(r, 1, 6) .. lane) then
    count('n', -1)
    if verdict == 1 then
      count('done', 1)
    else
      add_dead(lane, r, string.sub(head, 1, 6) .. (after or lost_entry), err)
    end
  end
end

local refused, began = {}, number
if outcomes > 0 then
  local lanes = {}
  for i = 1, outcomes do lanes[i] = ARGV[5 + 5 * i] end
  load_records(lanes)
  for i = 1, outcomes do
    local at = 5 + 5 * i
    local lane, given, verdict = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local r = records[lane]
    if not r or given == '' or record_token(r) ~= given then
      refused[#refused + 1] = lane
    else
      count('inflight', -1)
      if verdict == '1' or verdict == '4' then
        end_job(lane, r, tonumber(verdict), ARGV[at + 4])
      else
        local seq, counted, suspect = struct.unpack('>I6I2B', r)
        local err = record_error(r)
        if verdict == '2' then
          count('retried', 1)
          counted, err = counted + 1, ARGV[at + 4]
        end
        set_record(lane, seq, counted, suspect, '', err)
        append(due_add, now + ARGV[at + 3], string.sub(r, 1, 6) .. lane)
      end
    end
  end
  count('refused', #refused)
  write_lanes()
end

local tat = theoretical_arrival(f)
if f.tat and tonumber(f.tat) > tat then
  f.tat = int(tat)
  redis.call('HSET', meta, 'tat', f.tat)
end

-- A hold is not longer either.
if (tonumber(f.held or '') or 0) > now + longest then
  f.held = ''
  redis.call('HSET', meta, 'held', '')
end

-- pull_in moves due times beyond the longest delay, which were written before the clock was
-- set back.
local function pull_in()
  local far = redis.call('ZRANGEBYSCORE', due, '(' .. int(now + longest), '+inf', 'LIMIT', 0, 500)
  if #far == 0 then return end
  local lanes = {}
  for i, m in ipairs(far) do lanes[i] = string.sub(m, 7) end
  load_records(lanes)
  for i, m in ipairs(far) do
    local r = records[lanes[i]]
    append(due_add, r and record_token(r) ~= '' and now + lease or now, m)
  end
  write_lanes()
end

local claims, first_token = {}, fence + 1
local function claim()
  if opens_at(f) > now then return end
  if gap > 0 then
    tat = math.max(tat, now)
    want = math.min(want, math.floor((now + room - tat) / gap))
  end
  if want <= 0 then return end
  local members = redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, want)
  local lanes, n = {}, 0
  for i, m in ipairs(members) do lanes[i] = string.sub(m, 7) end
  load_records(lanes)
  -- The heads; the bodies of long ones with one call.
  local entries, ask, owner = {}, {}, {}
  for i, lane in ipairs(lanes) do
    local head = redis.call('LINDEX', lane_key(lane), '0')
    if head and #head == 6 then
      ask[#ask + 1] = head
      owner[#ask] = i
    elseif head then
      entries[i] = string.sub(head, 7)
    end
  end
  for k = 1, #ask, 1000 do
    local got = redis.call('HMGET', bodies, unpack(ask, k, math.min(k + 999, #ask)))
    for j = 1, #got do entries[owner[k + j - 1]] = got[j] end
  end
  local till = int(now + lease)
  for i, lane in ipairs(lanes) do
    local r, m, entry = records[lane], members[i], entries[i]
    local counted, suspect, err, held = 0, 0, '', false
    if r then
      local _
      _, counted, suspect = struct.unpack('>I6I2B', r)
      err, held = record_error(r), record_token(r) ~= ''
    end
    if held then count('inflight', -1) end
    if not entry then -- it was lost: the lane must not stand in the way
      if pop_head(lane, m) then count('n', -1) end
      count('healed', 1)
    else
      if held then -- its lease has run out
        count('stalled', 1)
        counted, suspect = counted + suspect, 1
      end
      fence, n = fence + 1, n + 1
      set_record(lane, sequence(m), counted, suspect, int(fence) .. '.' .. nonce, err)
      append(due_add, till, m)
      local k = 3 * n
      claims[k - 2], claims[k - 1], claims[k] = lane, (counted + 1) * 2 + suspect, entry
    end
  end
  write_lanes()
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
  pull_in()
  claim()
end

local set, gone = {}, {}
for lane in pairs(touched) do
  local r = records[lane]
  if r then append(set, lane, r) else gone[#gone + 1] = lane end
end
if is_padded == false and next(set) then append(set, padding, zeros) end
in_chunks('HDEL', state, gone)
in_chunks('HSET', state, set)
write_counters()
return {reply_int(wake_if_due(f)), number - began, refused, first_token, claims}
