#!lua flags=allow-oom
-- Leaves the wake-up again if something is due: for who took it and cannot use it.

local f = fields('paused', 'held', 'gap', 'room', 'tat')
if f then wake_if_due(f) end
return {}
