#!lua flags=allow-oom
-- Gives numbers for dead letters back that were not used, unless somebody took
-- later ones. It runs without common.lua.
--
-- KEYS    1 the counter
-- ARGV    1 the last number that was taken
--         2 the last number that was used
-- RESULT  1 when they were given back

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
