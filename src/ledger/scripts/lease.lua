#!lua flags=allow-oom
-- lease: takes, renews or gives up a named lease; its token fences what its holder does.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] 'take' | 'give-up'  ARGV[3] name
-- ARGV[4] holder (take) | token (give-up)  ARGV[5] ttl, ms (take)
-- Returns {'taken', seq, ms, token, wall ms at which it ends}  {'busy', seq, ms, holder, free in ms}  {'given-up', seq, ms}
-- Invariant: two holders never have one token, tokens only grow, and a lease ends in logical time, which never runs
-- faster than the holder's own clock.
--- @include "include/prelude.lua"
return ledgerCall(function()
  local key, name = P .. 'leases', ARGV[3]
  local record = redis.call('HGET', key, name)
  local token, holder, ends
  if record then
    token, holder, ends = string.match(record, '^([^\31]*)\31([^\31]*)\31([^\31]*)$')
  end
  local isLive = record and tonumber(ends) > nowMs
  if ARGV[2] == 'give-up' then
    if token == ARGV[4] then
      write('HDEL', key, name)
    end
    return reply('given-up')
  end
  if isLive and holder ~= ARGV[4] then
    return reply('busy', holder, tonumber(ends) - nowMs)
  end
  if not isLive then
    token = num(toNumber(redis.call('HGET', key, 'token:' .. name)) + 1)
    write('HSET', key, 'token:' .. name, token)
  end
  write('HSET', key, name, token .. US .. ARGV[4] .. US .. num(nowMs + tonumber(ARGV[5])))
  return reply('taken', tonumber(token), wallMs + tonumber(ARGV[5]))
end)
