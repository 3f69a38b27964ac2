#!lua flags=no-writes
-- Levels as of one moment, with due holds that no sweep has ended yet already given back.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2..] SKUs (at most 200)
-- Returns {'levels', seq, ms, {sku's location, onHand, committed, reserved, location, ...} per SKU, in order}
-- Invariant: changes nothing; a hold past its deadline is never shown as reserved (up to 1,000 of them).
--- @include "include/prelude.lua"
local DUE_LOOKED_AT = 1000

-- sku -> location -> units that are due
local function dueUnits()
  local due = {}
  local ids = redis.call('ZRANGE', P .. 'due', '-inf', num(nowMs), 'BYSCORE', 'LIMIT', 0, DUE_LOOKED_AT)
  for i = 1, #ids do
    local h = loadHold(ids[i])
    if h and h.state == 'H' then
      for sku, location, units in holdLines(h.lines) do
        due[sku] = due[sku] or {}
        due[sku][location] = (due[sku][location] or 0) + tonumber(units)
      end
    end
  end
  return due
end

return ledgerRead(function()
  local due = dueUnits()
  local result = reply('levels')
  for i = 2, #ARGV do
    local row = redis.call('HGETALL', P .. 'sku:' .. ARGV[i])
    local levels = {}
    for j = 1, #row, 2 do
      local kind, location = string.match(row[j], '^([ocr]):(.*)$')
      if kind then
        levels[location] = levels[location] or { o = 0, c = 0, r = 0 }
        levels[location][kind] = tonumber(row[j + 1])
      end
    end
    local flat = {}
    for location, level in pairs(levels) do
      local given = due[ARGV[i]] and due[ARGV[i]][location] or 0
      flat[#flat + 1] = location
      flat[#flat + 1] = level.o
      flat[#flat + 1] = level.c
      flat[#flat + 1] = level.r - given
    end
    result[i + 2] = flat
  end
  return result
end)
