#!lua flags=allow-oom
-- Counts the transactions of one agent's session.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] 'take' | 'give-back'  ARGV[3] agent  ARGV[4] session  ARGV[5] hold id
-- ARGV[6] most transactions (take)  ARGV[7] ms a session lasts from its first one (take)
-- Returns {'taken', seq, ms, transactions}  {'used-up', seq, ms, transactions}  {'given-back', seq, ms}
-- Invariant: a hold counts once, however often it is taken; never more than the most, however many ask at once.
--- @include "include/prelude.lua"
return ledgerCall(function()
  local name, id = P .. 'session:' .. ARGV[3] .. US .. ARGV[4], ARGV[5]
  if ARGV[2] == 'give-back' then
    write('SREM', name, id)
    return reply('given-back')
  end
  local count = redis.call('SCARD', name)
  if redis.call('SISMEMBER', name, id) == 1 then
    return reply('taken', count)
  end
  if count >= tonumber(ARGV[6]) then
    return reply('used-up', count)
  end
  write('SADD', name, id)
  if count == 0 then
    write('PEXPIRE', name, ARGV[7])
  end
  return reply('taken', count + 1)
end)
