#!lua
-- Reserves units for N independent requests (the concurrent calls of one daemon), each all-or-nothing over its lines.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2..] one request each: hold id, fingerprint, ttl ms, actor, agent, pool, settlesOn
--   ('': external) and the lines, joined by US; lines joined by RS; a line is sku, units, units to keep, pool cap
--   ('': none), agent cap ('': none) and its locations in order (joined by commas), joined by GS
-- Returns {'answers', seq, ms, answer per request}, an answer being fields joined by US:
--   held, seq, expires at ms, 1 when repeated, lines (sku GS location GS units, joined by RS)
--   denied, out-of-stock | pool-cap | agent-cap, sku, units that could have been had
--   ended, state
--   fingerprint-mismatch
-- Invariant: after a reserve the units its SKU has available over the line's locations are at least the units to keep;
-- pool and agent caps hold however many reserve at once; a hold id is held once. No allow-oom: new holds are refused
-- when the server is full, so that commits and releases keep their room.
--- @include "include/prelude.lua"
--- @include "include/reserving.lua"
local function answer(request)
  local fingerprint, ttlMs, lines
  id, fingerprint, ttlMs, actor, agent, pool, settlesOn, lines = match(request, REQUEST_PATTERN)
  local h = loadHold(id)
  if h then
    return repeated(h, fingerprint)
  end
  return allocate(lines) or hold(fingerprint, tonumber(ttlMs))
end

return ledgerCall(function()
  local ids = {}
  for i = 2, #ARGV do
    ids[i - 1] = match(ARGV[i], '^[^\31]*')
  end
  prefetchHolds(ids)
  local result = reply('answers')
  for i = 2, #ARGV do
    result[i + 2] = answer(ARGV[i])
  end
  writeNewHolds()
  return result
end)
