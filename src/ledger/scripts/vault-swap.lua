#!lua flags=allow-oom
-- vault-swap: puts a sealed credential in the place of the one it was made from.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] name  ARGV[3] record it was made from  ARGV[4] record
-- Returns {'swapped', seq, ms}  {'changed', seq, ms}
-- Invariant: a token that was renewed meanwhile is never overwritten by an older one. A repeat after a lost reply finds
-- its own record and answers as the first time.
--- @include "include/prelude.lua"
return ledgerCall(function()
  local key = P .. 'vault'
  local stored = redis.call('HGET', key, ARGV[2])
  if stored == ARGV[4] then
    return reply('swapped')
  end
  if stored ~= ARGV[3] then
    refuse('changed')
  end
  write('HSET', key, ARGV[2], ARGV[4])
  return reply('swapped')
end)
