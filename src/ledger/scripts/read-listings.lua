#!lua flags=no-writes
-- read-listings: what the publisher decides from, as of one moment.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] channel
-- ARGV[3..] for each row (at most 250): listing id, number of SKUs (0: the state alone), the SKUs (its
--   own first, then a bundle's components)
-- Returns {'listings', seq, ms, row, ...}; row: one text, fields separated by GS: the state in the order of STATE, then per
--   SKU the number of its locations and of each location its name, onHand, committed, reserved and what of it settles on
--   this channel. One text instead of nested arrays costs the client a third.
-- Invariant: changes nothing; every row is true for the sequence of the reply.
--- @include "include/prelude.lua"
local STATE = { 't', 'bv', 'bt', 'ba', 'bs', 'su', 'sa', 'pv', 'wa', 're', 'tr', 'w', 'ver' }
local PLACES = { o = 2, c = 3, r = 4 }

-- Appends to `flat`.
local function addLevels(flat, sku, settlesHere)
  local row = redis.call('HGETALL', P .. 'sku:' .. sku)
  local at, countAt, count = {}, #flat + 1, 0
  flat[countAt] = '0'
  local function rowOf(location)
    local start = at[location]
    if not start then
      start = #flat
      at[location] = start
      count = count + 1
      flat[start + 1], flat[start + 2], flat[start + 3], flat[start + 4], flat[start + 5] = location, '0', '0', '0', '0'
    end
    return start
  end
  for i = 1, #row, 2 do
    local name = row[i]
    local place = PLACES[string.sub(name, 1, 1)]
    if place and string.sub(name, 2, 2) == ':' then
      flat[rowOf(string.sub(name, 3)) + place] = row[i + 1]
    elseif string.sub(name, 1, #settlesHere) == settlesHere then
      flat[rowOf(string.sub(name, #settlesHere + 1)) + 5] = row[i + 1]
    end
  end
  flat[countAt] = tostring(count)
end

return ledgerRead(function()
  local prefix, settlesHere = P .. 'listing:' .. ARGV[2] .. ':', 's:' .. ARGV[2] .. US
  local result, i = reply('listings'), 3
  while i <= #ARGV do
    local state = redis.call('HMGET', prefix .. ARGV[i], unpack(STATE))
    for j = 1, #STATE do
      state[j] = state[j] or ''
    end
    local skuCount = tonumber(ARGV[i + 1])
    for j = 1, skuCount do
      addLevels(state, ARGV[i + 1 + j], settlesHere)
    end
    result[#result + 1] = table.concat(state, GS)
    i = i + 2 + skuCount
  end
  return result
end)
