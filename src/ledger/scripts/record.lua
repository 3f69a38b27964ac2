#!lua flags=allow-oom
-- Small records of the HTTP side, by id: API keys, payments that are pending.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] 'apiKeys' | 'payments'  ARGV[3] 'put' | 'drop'  ARGV[4] id
-- ARGV[5] content (put)  ARGV[6] most records (put)
-- Returns {'done', seq, ms}  {'full', seq, ms}
-- Invariant: there are never more records than may be; putting the same again changes nothing.
--- @include "include/prelude.lua"
local HASHES = { apiKeys = true, payments = true }

return ledgerCall(function()
  if not HASHES[ARGV[2]] then
    refuse('full')
  end
  local name, id = P .. ARGV[2], ARGV[4]
  if ARGV[3] == 'drop' then
    write('HDEL', name, id)
    return reply('done')
  end
  if redis.call('HEXISTS', name, id) == 0 and redis.call('HLEN', name) >= tonumber(ARGV[6]) then
    return reply('full')
  end
  write('HSET', name, id, ARGV[5])
  return reply('done')
end)
