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
-- Where the value of a field of a SKU's hash stands in its location's row, and that location; false: nowhere. Rows of a
-- call have the same few fields: each is taken apart once.
local PLACES = { o = 2, c = 3, r = 4 }
local placeOf, locationOf = {}, {}

local function learnField(name, settlesHere)
  local place, location = PLACES[string.sub(name, 1, 1)], string.sub(name, 3)
  if string.sub(name, 1, #settlesHere) == settlesHere then
    place, location = 5, string.sub(name, #settlesHere + 1)
  elseif string.sub(name, 2, 2) ~= ':' then
    place = nil
  end
  placeOf[name], locationOf[name] = place or false, location
end

-- Appends to `flat`.
local function addLevels(flat, sku, settlesHere)
  local row = redis.call('HGETALL', P .. 'sku:' .. sku)
  local starts, count, length = {}, 0, #flat + 1
  local countAt = length
  flat[countAt] = '0'
  for i = 1, #row, 2 do
    local name = row[i]
    if placeOf[name] == nil then
      learnField(name, settlesHere)
    end
    local place = placeOf[name]
    if place then
      local location = locationOf[name]
      local start = starts[location]
      if not start then
        start, count = length, count + 1
        starts[location] = start
        flat[start + 1], flat[start + 2], flat[start + 3], flat[start + 4], flat[start + 5] = location, '0', '0', '0', '0'
        length = length + 5
      end
      flat[start + place] = row[i + 1]
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
