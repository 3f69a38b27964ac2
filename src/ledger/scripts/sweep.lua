#!lua flags=allow-oom
-- Expires due holds and purges what is past its retention; run by a timer in every daemon (it needs no leader).
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] most holds to expire (<= 100)
-- ARGV[3] retention of ended holds, ms  ARGV[4] retention of operation ids, ms
-- Returns {'swept', seq, ms, expired, ms until the next deadline or -1, purged}
-- Invariant: each hold ends once; an agent's committed units leave its cap when the hold's record is purged.
--- @include "include/prelude.lua"
local PURGE_PER_CALL = 100

local function purgeHolds()
  local before = nowMs - tonumber(ARGV[3])
  local ids = redis.call('ZRANGE', P .. 'done', '-inf', num(before), 'BYSCORE', 'LIMIT', 0, PURGE_PER_CALL)
  for i = 1, #ids do
    local h = loadHold(ids[i])
    if h and h.state == 'C' and h.agent ~= '' then
      for sku, _, units in holdLines(h.lines) do
        addToCounter('agents', h.agent .. US .. sku, -tonumber(units))
      end
    end
  end
  if #ids > 0 then
    write('HDEL', P .. 'holds', unpack(ids))
    write('ZREM', P .. 'done', unpack(ids))
  end
  return #ids
end

local function purgeOperations()
  local before = wallMs - tonumber(ARGV[4])
  local ids = redis.call('ZRANGE', P .. 'opAge', '-inf', num(before), 'BYSCORE', 'LIMIT', 0, PURGE_PER_CALL)
  if #ids > 0 then
    write('HDEL', P .. 'ops', unpack(ids))
    write('ZREM', P .. 'opAge', unpack(ids))
  end
  return #ids
end

return ledgerCall(function()
  -- The call has already expired the first few.
  local limit = math.min(tonumber(ARGV[2]), 100)
  if sweptHolds < limit then
    sweepDue(limit - sweptHolds)
  end
  local purged = purgeHolds() + purgeOperations()
  local following = redis.call('ZRANGE', P .. 'due', sweptHolds, sweptHolds, 'WITHSCORES')
  local nextInMs = -1
  if following[2] then
    nextInMs = math.max(0, tonumber(following[2]) - nowMs)
  end
  return reply('swept', sweptHolds, nextInMs, purged)
end)
