#!lua flags=no-writes,allow-oom
-- Returns the time until the next job is due, in ticks; nothing if the queue does not
-- exist. It writes nothing.

local f = fields('paused', 'held', 'gap', 'room', 'tat')
if not f then return {} end
return {reply_int(next_due(f))}
