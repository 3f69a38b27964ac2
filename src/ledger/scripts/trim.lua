#!lua flags=allow-oom
-- Drops archived entries from the log.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] epoch and ARGV[3] sequence of the first entry to keep
-- Returns {'trimmed', seq, ms, entries dropped, first sequence kept}
-- Invariant: the newest entry is never dropped; `first` never moves back. Who calls it has archived what goes.
--- @include "include/prelude.lua"
local MOST_DROPPED = 100000

return ledgerCall(function()
  local log = P .. 'log'
  local minId = num(math.min(tonumber(ARGV[2]), EPOCH)) .. '-' .. num(math.min(tonumber(ARGV[3]), seq - entryCount))
  local dropped =
    redis.call('XTRIM', log, 'MINID', '~', minId, 'LIMIT', MOST_DROPPED)
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  local firstSeq = string.match(first[1], '%-(%d+)$')
  write('HSET', KEYS[1], 'first', firstSeq)
  return reply('trimmed', dropped, tonumber(firstSeq))
end)
