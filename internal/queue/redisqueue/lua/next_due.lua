#!lua flags=no-writes,allow-oom
-- For how long nothing will be due, in ticks; nothing when the queue does not
-- exist. It writes nothing.

local f = fields('paused', 'held', 'gap', 'room', 'tat')
if not f then return {} end
return {reply_int(next_due(f))}
