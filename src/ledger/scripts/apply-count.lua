#!lua flags=allow-oom
-- apply-count: a count of one level by its on-hand authority, true as of a moment.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] operation id  ARGV[3] fingerprint  ARGV[4] sku  ARGV[5] location
-- ARGV[6] counted on-hand  ARGV[7] as of, ms  ARGV[8] pick lag, ms  ARGV[9] skew, ms  ARGV[10] source  ARGV[11] actor
-- Returns {'counted', seq, ms, sequence of its entry, 1 when repeated, on-hand, delta, closed shipping}
--         {'stale', seq, ms, as-of of the applied count}  {'ask-again', seq, ms, 'older-than-ring' | 'within-skew'}
--         {'fingerprint-mismatch', seq, ms}  {'overflow', seq, ms, sku, location}
-- Invariant: on-hand = newest count + every movement of the authority effective after it; a count never undoes a later
-- movement, and a count that agrees writes no entry. Counts are compared with the ledger, not with each other.
--- @include "include/prelude.lua"
--- @include "include/authority.lua"
return ledgerCall(function()
  local id, fingerprint = ARGV[2], ARGV[3]
  local again = findOperation(id, fingerprint)
  if again then
    return again
  end
  local location, counted = ARGV[5], tonumber(ARGV[6])
  -- A moment still to come cannot have been counted: that source's clock is ahead of ours.
  local asOf = math.min(tonumber(ARGV[7]), wallMs)
  local skew = tonumber(ARGV[9])
  local s = loadSku(ARGV[4], location)
  local applied = skuField(s, 'a:' .. location)
  if applied ~= '' and asOf < tonumber(applied) then
    return refuse('stale', tonumber(applied))
  end
  local dropped = skuField(s, 'hx:' .. location)
  if dropped ~= '' and asOf < tonumber(dropped) then
    return refuse('ask-again', 'older-than-ring')
  end
  if dropped ~= '' and asOf - tonumber(dropped) < skew then
    return refuse('ask-again', 'within-skew')
  end
  local onHand = counted
  for _, movement in ipairs(readTimed(s, 'h:' .. location)) do
    if math.abs(movement.at - asOf) < skew then
      return refuse('ask-again', 'within-skew')
    end
    if movement.at > asOf then
      onHand = onHand + movement.units
    end
  end
  local closed = closeMarks(s, location, MAX_UNITS, 'oldest', asOf - tonumber(ARGV[8]))
  local difference = onHand - levelOf(s, location).o
  local isKnown = redis.call('HEXISTS', s.key, 'o:' .. location) == 1
  setSkuField(s, 'a:' .. location, num(asOf))
  setSkuField(s, 'b:' .. location, skew > 0 and num(skew) or '')
  -- Polls count every level every few minutes: without a change neither an entry nor an operation record is kept, and
  -- a repeat finds no change again.
  if difference == 0 and closed == 0 and isKnown then
    return reply('counted', seq, 0, num(onHand), '0', '0')
  end
  append(
    'N', s, location, difference, difference, -closed, 0, '', ARGV[10], '', id, ARGV[11],
    num(asOf) .. ';' .. num(counted) .. (skew > 0 and ';' .. num(skew) or '')
  )
  if not isKnown then
    s.levels[location].oChanged = true
  end
  return finishOperation(id, fingerprint, 'counted', onHand, difference, closed)
end)
