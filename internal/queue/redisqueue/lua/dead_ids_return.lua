#!lua flags=allow-oom
-- Returns unused numbers of dead letters, unless later ones were taken. It runs without
-- common.lua.
--
-- KEYS    1 the counter
-- ARGV    1 the last number taken
--         2 the last number used
-- RESULT  1 if they were returned

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
