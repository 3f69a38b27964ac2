-- Fence and clock: who may speak to this ledger, and what time it is. Reads only.
--- @include "include/keys.lua"
--- @include "include/numbers.lua"
--- @include "include/clock.lua"
local EPOCH_TEXT = num(EPOCH)
-- Set by openSession: logical ms, wall ms (and as entries hold it: from the beginning of the epoch, half the digits),
-- last stored wall ms, sequence of the newest entry (planned ones included).
local nowMs, wallMs, wallText, storedRawMs, seq

-- Returns nothing when the call may go on, else the reply that refuses it. The stamp (EPOCH) catches another life of
-- the data under a script that survived it; ARGV[1], the highest sequence the caller has seen, catches data that were
-- rolled back inside one life.
local function openSession()
  local ledger = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'now', 'raw', 'halted')
  seq = toNumber(ledger[2])
  if ledger[1] ~= EPOCH_TEXT or seq < toNumber(ARGV[1]) then
    return { 'fenced', seq, 0, ledger[1] or '0' }
  end
  if ledger[5] and ledger[5] ~= '' then
    return { 'halted', seq, 0, ledger[5] }
  end
  wallMs = serverTimeMs()
  wallText = num(wallMs - EPOCH * 1000)
  storedRawMs = toNumber(ledger[4])
  nowMs = advanceClock(toNumber(ledger[3]), storedRawMs, wallMs)
  return nil
end

-- Every reply: outcome, sequence of the newest entry, wall ms, then the fields. The two numbers are set at the end.
local function reply(outcome, ...)
  return { outcome, 0, 0, ... }
end
