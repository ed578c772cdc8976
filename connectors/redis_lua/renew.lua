#!lua
-- Keep the lease of a desk, or give it up (ms = 0), as long as its fence is ours.
-- KEYS: desk, lease    ARGV: fence, who, ms    Answers 1, or 0 when the desk is led by another.
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return 0
end
local held = redis.call('GET', KEYS[2])
if held and held ~= ARGV[2] then
  return 0
end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
end
return 1
