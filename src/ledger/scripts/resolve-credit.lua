#!lua flags=allow-oom
-- resolve-credit: a person gives up units that a hold's commit promised to an order which never came.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] operation id  ARGV[3] fingerprint  ARGV[4] channel  ARGV[5] order id  ARGV[6] sku
-- ARGV[7] actor
-- Returns {'resolved', seq, ms, sequence of its last entry, 1 when repeated, units}  {'fingerprint-mismatch', seq, ms}
-- Invariant: the open credit leaves `committed` where it is; should the order come after all, it commits anew.
--- @include "include/prelude.lua"
--- @include "include/credits.lua"
return ledgerCall(function()
  local id, fingerprint, channel, orderId = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
  local again = findOperation(id, fingerprint)
  if again then
    return again
  end
  local credit = readCredit(orderKey(channel, orderId), ARGV[6])
  local units = credit.openUnits
  for i = 1, #credit.open do
    local part = credit.open[i]
    if part.units > 0 then
      local s = loadSku(ARGV[6], part.location)
      append('x', s, part.location, part.units, 0, -part.units, 0, channel, orderId, '', id, ARGV[7], '')
    end
  end
  credit.open, credit.openUnits = {}, 0
  if units > 0 then
    writeCredit(credit, channel, orderId)
  end
  return finishOperation(id, fingerprint, 'resolved', units)
end)
