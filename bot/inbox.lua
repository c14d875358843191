-- Claim each delivery id of a batch and append its delivery, or say why not. One call, so no crash falls between the
-- two, and a script is never interrupted half way.
-- KEYS: inbox stream, then the claim of each delivery
-- ARGV: deliveries that may wait, seconds a claim lives, then for each delivery its seven values
local limit, life = tonumber(ARGV[1]), ARGV[2]
local waiting = redis.call('XLEN', KEYS[1])
local answers = {}
for n = 1, #KEYS - 1 do
  local key, at = KEYS[n + 1], 3 + (n - 1) * 7
  local claim = redis.call('GET', key)
  if claim and claim ~= 'failed' then
    answers[n] = 'duplicate'
  elseif waiting >= limit then
    answers[n] = 'full'
  else
    redis.call('XADD', KEYS[1], '*', 'forge', ARGV[at], 'host', ARGV[at + 1], 'id', ARGV[at + 2], 'event', ARGV[at + 3],
      'action', ARGV[at + 4], 'body', ARGV[at + 5], 'received_ms', ARGV[at + 6])
    redis.call('SET', key, 'pending', 'EX', life) -- second: a claim without its delivery would lose it
    waiting = waiting + 1
    answers[n] = 'accepted'
  end
end
return answers
