-- Claim a delivery id and append the delivery, or say why not. One call, so no crash falls between the two.
-- KEYS: inbox stream, claim of the delivery id
-- ARGV: deliveries that may wait, seconds a claim lives, then the entry's names and values
local claim = redis.call('GET', KEYS[2])
if claim and claim ~= 'failed' then
  return 'duplicate'
end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then
  return 'full'
end
redis.call('SET', KEYS[2], 'pending', 'EX', ARGV[2])
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 3))
return 'accepted'
