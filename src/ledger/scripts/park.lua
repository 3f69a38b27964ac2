#!lua flags=allow-oom
-- park: sets a row aside with its reason, or takes it out again.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] 'park' | 'unpark'  ARGV[3] id  ARGV[4] entry, JSON (park)  ARGV[5] most rows
-- Returns {'parked', seq, ms, times}  {'unparked', seq, ms}  {'full', seq, ms}
-- Invariant: a parked row is never dropped to make room: when there is none, parking is refused and its sender waits.
--- @include "include/prelude.lua"
return ledgerCall(function()
  local id = ARGV[3]
  if ARGV[2] == 'unpark' then
    write('HDEL', P .. 'parked', id)
    write('ZREM', P .. 'parkedAge', id)
    return reply('unparked')
  end
  local known = redis.call('HGET', P .. 'parked', id)
  if not known and redis.call('HLEN', P .. 'parked') >= tonumber(ARGV[5]) then
    return reply('full')
  end
  -- Kept beside the JSON, which the script does not rewrite: cjson would change numbers and empty arrays in it.
  local times = 1
  if known then
    times = tonumber(string.match(known, '^(%d+)\31')) + 1
  end
  write('HSET', P .. 'parked', id, num(times) .. US .. ARGV[4])
  write('ZADD', P .. 'parkedAge', 'NX', num(wallMs), id)
  return reply('parked', times)
end)
