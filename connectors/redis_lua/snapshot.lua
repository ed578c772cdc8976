#!lua
-- Begin a snapshot (ARGV[4] = ''), or make it count (ARGV[4] = its number, ARGV[5] what is noted of it, ARGV[6] parts).
-- KEYS: desk, journal, snapshots, and with a number the key of its parts    ARGV: fence, seq, hash, number, note, parts
-- Answers {'ok', number, numbers that no longer count…}, or {'judge', fence, hash of that fact, parts there}.
local fence = redis.call('HGET', KEYS[1], 'fence')
local known = false
if ARGV[2] == '0' then
  known = string.rep('\0', 32)
else
  local fact = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])[1]
  known = fact and fact[2][4] or false  -- nil would end the answer
end
local there = KEYS[4] and redis.call('HLEN', KEYS[4]) or 0
if fence ~= ARGV[1] or known ~= ARGV[3] or (KEYS[4] and there ~= tonumber(ARGV[6])) then
  return {'judge', fence, known, there}
end

local number = ARGV[4]
if number == '' then
  number = tostring(redis.call('HINCRBY', KEYS[1], 'snapshots', 1))
  redis.call('HSET', KEYS[3], number, '')
else
  redis.call('HSET', KEYS[3], number, ARGV[5])
end

-- whole ones, newest fact first and of the same fact the newest; all but two of them count no longer
local whole, answer = {}, {'ok', number}
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
  if all[i + 1] ~= '' then
    table.insert(whole, {number = all[i], seq = tonumber(string.match(all[i + 1], '^%d+'))})
  elseif all[i] ~= number then
    table.insert(answer, all[i])
  end
end
table.sort(whole, function(a, b)
  if a.seq ~= b.seq then return a.seq > b.seq end
  return tonumber(a.number) > tonumber(b.number)
end)
local kept, before = 0, nil
for _, one in ipairs(whole) do
  if one.seq == before or kept == 2 then
    redis.call('HSET', KEYS[3], one.number, '')
    table.insert(answer, one.number)
  else
    kept, before = kept + 1, one.seq
  end
end
return answer
