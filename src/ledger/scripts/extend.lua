#!lua
-- Gives a hold a later deadline.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] hold id  ARGV[3] ttl ms from now  ARGV[4] operation id
-- ARGV[5] most extensions of one hold  ARGV[6] actor
-- Returns {'extended', seq, ms, first seq, 1 when repeated, expires at ms}
--         {'too-many-extensions'}  {'unknown-hold'}  {'ended', .., .., state}
-- Invariant: a deadline never moves earlier, and never after it has passed.
--- @include "include/prelude.lua"
return ledgerCall(function()
  local id = ARGV[2]
  -- Operation ids of extensions belong to their hold; the result has no place for a mismatch.
  local operation = id .. US .. ARGV[4]
  local again = findOperation(operation, 'extend')
  if again then
    return again
  end
  local h = loadHold(id)
  if not h then
    return reply('unknown-hold')
  end
  local state = holdStateNow(id, h)
  if state ~= 'held' then
    return reply('ended', state)
  end
  local extensions = tonumber(h.extensions)
  if extensions >= tonumber(ARGV[5]) then
    return reply('too-many-extensions')
  end
  h.deadline = math.max(h.deadline, nowMs + tonumber(ARGV[3]))
  h.extensions = num(extensions + 1)
  local extra = deadlineExtra(h.deadline - nowMs, '', '')
  for sku, location, units in holdLines(h.lines) do
    append('e', loadSku(sku, location), location, tonumber(units), 0, 0, 0, '', id, h.settlesOn, ARGV[4], ARGV[6], extra)
  end
  write('HSET', P .. 'holds', id, packHold(h))
  write('ZADD', P .. 'due', num(h.deadline), id)
  return finishOperation(operation, 'extend', 'extended', expiresAt(h))
end)
