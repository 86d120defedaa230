#!lua flags=allow-oom
-- Leaves the mark again if something is due: for who took it and cannot use it.

local f = fields('paused', 'held', 'gap', 'room', 'tat')
if f then announce(f) end
return {}
