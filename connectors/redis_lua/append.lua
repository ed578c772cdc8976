#!lua
-- One append: nonce, fence and head are judged, then everything is written, or nothing.
-- KEYS: desk, journal, people, evidence
-- ARGV: fence, try (the nonce: numbers the tries under this fence), seq and hash of the expected head, position ('' or
--       '=' and the position), how many facts, people and evidence follow; then two values for each of them
-- Answers {'written'}, or {'judge', fence, try, seq, hash} as they stand: connectors/journal.py finds the words.
-- A script is not rolled back: whatever can fail (a key of another type, no memory) must fail above the first write.
local desk = redis.call('HMGET', KEYS[1], 'fence', 'try', 'seq', 'hash')
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
redis.call('HLEN', KEYS[3])
redis.call('HLEN', KEYS[4])
local ends = last and string.match(last[1], '^%d+') or '0'
if ends ~= (desk[3] or '0') then
  return {'broken', desk[3] or '0', ends}
end
local late = desk[2] and tonumber(ARGV[2]) <= tonumber(desk[2])
if desk[1] ~= ARGV[1] or desk[3] ~= ARGV[3] or desk[4] ~= ARGV[4] or late then
  return {'judge', desk[1], desk[2], desk[3], desk[4]}
end

local seq, at = tonumber(desk[3]), 9
for i = 1, tonumber(ARGV[6]) do
  local id = string.format('%.0f-0', seq + i)
  redis.call('XADD', KEYS[2], id, 'f', ARGV[at], 'h', ARGV[at + 1], 'l', ARGV[1])
  at = at + 2
end
for _ = 1, tonumber(ARGV[7]) do
  redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  at = at + 2
end
local first_evidence = 9 + 2 * (tonumber(ARGV[6]) + tonumber(ARGV[7]))
for i = 0, tonumber(ARGV[8]) - 1 do
  redis.call('HSETNX', KEYS[4], ARGV[first_evidence + 2 * i], ARGV[first_evidence + 2 * i + 1])
end
redis.call('HSET', KEYS[1], 'try', ARGV[2])
if tonumber(ARGV[6]) > 0 then
  local head = string.format('%.0f', seq + tonumber(ARGV[6]))
  redis.call('HSET', KEYS[1], 'seq', head, 'hash', ARGV[8 + 2 * tonumber(ARGV[6])])
end
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'position', string.sub(ARGV[5], 2))
end
return {'written'}
