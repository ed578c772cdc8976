#!lua
-- Take the lead of a desk: its lease, and a fence above every other; the first time also its secret.
-- KEYS: desk, journal, lease    ARGV: who (instance, a blank, a label for people), lease in ms, secret, genesis
-- Answers {'leads', fence}, {'held', by whom, ms left}, or {'broken', seq of the desk, seq of the journal}.
-- The fence is above the last one in the journal too: a desk put back from an older copy must not give one out again.
local instance = string.match(ARGV[1], '^%S+')
local held = redis.call('GET', KEYS[3])
if held and string.match(held, '^%S+') ~= instance then
  return {'held', held, redis.call('PTTL', KEYS[3])}
end
local desk = redis.call('HMGET', KEYS[1], 'fence', 'seq')
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local ends = last and string.match(last[1], '^%d+') or '0'
if ends ~= (desk[2] or '0') then
  return {'broken', desk[2] or '0', ends}
end
local fence = tonumber(desk[1] or 0)
if last then
  fence = math.max(fence, tonumber(last[2][6]))
end
local given = string.format('%.0f', fence + 1)
redis.call('HSET', KEYS[1], 'fence', given, 'try', '0')
redis.call('HSETNX', KEYS[1], 'secret', ARGV[3])
redis.call('HSETNX', KEYS[1], 'seq', '0')
redis.call('HSETNX', KEYS[1], 'hash', ARGV[4])
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
return {'leads', given}
