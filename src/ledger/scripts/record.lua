#!lua flags=allow-oom
-- Small records that daemons share, by id: API keys, payments that are pending, requests for a reconciliation, how
-- endpoints of webhooks fare.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] 'apiKeys' | 'payments' | 'reconcile:requests' | 'endpoints'
-- ARGV[3] 'put' | 'swap' | 'drop'  ARGV[4] id
-- ARGV[5] content (put, swap; '' in a swap: nothing)  ARGV[6] most records (put, swap)
-- ARGV[7] the content it takes the place of (swap; '': nothing)
-- Returns {'done', seq, ms}  {'full', seq, ms}  {'changed', seq, ms}
-- Invariant: there are never more records than may be; what somebody else has written since is never swapped away; the same
-- command again, after a lost reply, changes nothing and answers as the first time.
--- @include "include/prelude.lua"
local HASHES = { apiKeys = true, payments = true, ['reconcile:requests'] = true, endpoints = true }

return ledgerCall(function()
  if not HASHES[ARGV[2]] then
    refuse('full')
  end
  local name, id = P .. ARGV[2], ARGV[4]
  if ARGV[3] == 'drop' then
    write('HDEL', name, id)
    return reply('done')
  end
  if ARGV[3] == 'swap' then
    local stored = redis.call('HGET', name, id) or ''
    if stored == ARGV[5] then
      return reply('done')
    end
    if stored ~= ARGV[7] then
      refuse('changed')
    end
    if ARGV[5] == '' then
      write('HDEL', name, id)
      return reply('done')
    end
  end
  if redis.call('HEXISTS', name, id) == 0 and redis.call('HLEN', name) >= tonumber(ARGV[6]) then
    return reply('full')
  end
  write('HSET', name, id, ARGV[5])
  return reply('done')
end)
