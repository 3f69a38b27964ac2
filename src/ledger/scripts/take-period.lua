#!lua flags=allow-oom
-- take-period: gives one period of a task to one caller of the cluster.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] task  ARGV[3] period  ARGV[4] nonce of this call
-- Returns {'taken' | 'missed', seq, ms}
-- Invariant: periods of a task only grow (longer text, then by bytes); each is taken once; the caller whose reply was lost learns by its nonce that it was the one.
--- @include "include/prelude.lua"
--- @include "include/cursor.lua"
return ledgerCall(function()
  local taken = redis.call('HGET', P .. 'periods', ARGV[2])
  local mine = ARGV[3] .. US .. ARGV[4]
  if taken == mine then
    return reply('taken')
  end
  -- A daemon that is late with an older period must not open the newer one again.
  if taken and not isLower(string.match(taken, '^([^\31]*)'), ARGV[3]) then
    return reply('missed')
  end
  write('HSET', P .. 'periods', ARGV[2], mine)
  return reply('taken')
end)
