#!lua flags=allow-oom
-- adjust: a movement of on-hand reported by the level's authority (or by a person at a place the ledger owns).
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] operation id  ARGV[3] fingerprint
-- ARGV[4] movement code: R received, A adjusted, s shipped, b returned  ARGV[5] sku  ARGV[6] location
-- ARGV[7] signed units  ARGV[8] effective at, ms ('' now)  ARGV[9] reference  ARGV[10] reason  ARGV[11] actor
-- Returns {'adjusted', seq, ms, sequence of its entry, 1 when repeated}  {'fingerprint-mismatch', seq, ms}
--         {'overflow', seq, ms, sku, location}
-- Invariant: a movement that the newest count already contains moves on-hand no second time, whichever came first;
-- within the clock skew of that count a loss is believed and a gain is not. Shipped units close shipping marks.
--- @include "include/prelude.lua"
--- @include "include/authority.lua"

local function isInCount(s, location, at, units)
  local applied = skuField(s, 'a:' .. location)
  if applied == '' then
    return false
  end
  local skew = toNumber(skuField(s, 'b:' .. location))
  if units < 0 then
    return at <= tonumber(applied) - skew
  end
  return at <= tonumber(applied) + skew
end

return ledgerCall(function()
  local id, fingerprint, code = ARGV[2], ARGV[3], ARGV[4]
  local again = findOperation(id, fingerprint)
  if again then
    return again
  end
  local location, units = ARGV[6], tonumber(ARGV[7])
  local s = loadSku(ARGV[5], location)
  local at, onHand = wallMs, units
  if ARGV[8] ~= '' then
    at = math.min(tonumber(ARGV[8]), wallMs)
    if isInCount(s, location, at, units) then
      onHand = 0
    end
  end
  local closed = 0
  if code == 's' and units < 0 then
    closed = closeMarks(s, location, -units, 'oldest')
  end
  noteOnHand(s, location, at, onHand)
  append(code, s, location, units, onHand, -closed, 0, '', ARGV[9], '', id, ARGV[11], ARGV[8] .. ';' .. ARGV[10])
  return finishOperation(id, fingerprint, 'adjusted')
end)
