#!lua flags=no-writes,allow-oom
-- RESULT  nothing if the queue does not exist, else now in ticks, when the
--         oldest job was enqueued ('' for none), then name and value of each field
--         of meta

if not fields() then return {} end
local oldest = ''
local head = redis.call('ZRANGE', heads, 0, 0)[1]
if head then
  local first = redis.call('LINDEX', lane_key(head), 0)
  local entry = first and entry_tail(first)
  if entry then oldest = int(struct.unpack('>d', entry)) end
end
local result = redis.call('HGETALL', meta)
table.insert(result, 1, oldest)
table.insert(result, 1, int(now))
return result
