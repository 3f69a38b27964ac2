#!lua flags=allow-oom
-- transfer: moves on-hand of one SKU from one location to another.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] operation id  ARGV[3] fingerprint  ARGV[4] sku
-- ARGV[5] from  ARGV[6] to  ARGV[7] units  ARGV[8] reference  ARGV[9] actor
-- Returns {'adjusted', seq, ms, sequence of its last entry, 1 when repeated}  {'fingerprint-mismatch', seq, ms}
--         {'overflow', seq, ms, sku, location}
-- Invariant: the SKU's on-hand over all locations does not change.
--- @include "include/prelude.lua"
--- @include "include/authority.lua"
return ledgerCall(function()
  local id, fingerprint = ARGV[2], ARGV[3]
  local again = findOperation(id, fingerprint)
  if again then
    return again
  end
  local from, to, units = ARGV[5], ARGV[6], tonumber(ARGV[7])
  local s = loadSku(ARGV[4], from)
  -- The giving side first: a reader of the log between the two entries sees too little, never too much.
  append('t', s, from, -units, -units, 0, 0, '', ARGV[8], '', id, ARGV[9], '')
  append('t', s, to, units, units, 0, 0, '', ARGV[8], '', id, ARGV[9], '')
  noteOnHand(s, from, wallMs, -units)
  noteOnHand(s, to, wallMs, units)
  return finishOperation(id, fingerprint, 'adjusted')
end)
