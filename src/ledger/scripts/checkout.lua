#!lua flags=allow-oom
-- What is kept of one cart or checkout of a commerce protocol.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] id  ARGV[3] version it is written over (0: there is none yet)  ARGV[4] content
-- ARGV[5] ms it is kept
-- Returns {'kept', seq, ms}  {'moved-on', seq, ms}: somebody else wrote it meanwhile
-- Invariant: of two writers that read the same version one is refused; a repeat of the same write is kept. Bounded by its
-- time to live. allow-oom: what is completed must be noted.
--- @include "include/prelude.lua"
return ledgerCall(function()
  local name, version = P .. 'checkout:' .. ARGV[2], tonumber(ARGV[3])
  local record = redis.call('GET', name)
  local now, content = 0, nil
  if record then
    now, content = string.match(record, '^(%d+)\31(.*)$')
    now = tonumber(now)
  end
  if now == version + 1 and content == ARGV[4] then
    return reply('kept')
  end
  if now ~= version then
    return reply('moved-on')
  end
  write('SET', name, num(version + 1) .. US .. ARGV[4], 'PX', ARGV[5])
  return reply('kept')
end)
