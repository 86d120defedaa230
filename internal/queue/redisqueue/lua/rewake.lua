#!lua flags=allow-oom
-- Leaves the wake-up again if a job is due, for a reader that cannot use the one it took.

local f = fields('paused', 'held', 'gap', 'room', 'tat')
if f then wake_if_due(f) end
return {}
