#!lua flags=allow-oom
-- settle-write: stores computed listing states, books or resolves provisional units, closes write records.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] JSON: channel, lease, token, actor, id (only tells equal calls apart), close [write ids], keep [[write id, JSON]],
--   changes [[listing id, expected version, expected taken or '', [state fields in the order of STATE],
--   [units, sku, location, cause] or 0, sequence up to which its pending mark is done or '', 1 to mark it pending]]
-- Returns {'settled', seq, ms, sequence of the settlement}  {'suspected', seq, ms}
--         {'conflict', seq, ms, listing id, ...}  {'overflow', seq, ms, sku, location}
-- Invariant: all changes or none, each under the version it was computed from; a holder of an old token changes no
-- state, it only makes its listings suspect. Provisional units of a listing are exactly those booked in `reserved`.
--- @include "include/prelude.lua"
--- @include "include/listing.lua"
local STATE = { 'bv', 'bt', 'ba', 'bs', 'su', 'sa', 'wa', 're', 'w' }
local KEPT_RESULTS = 16

-- Settlements are repeated after a lost reply like every call, but their versions have moved then.
local function findResult(field, hash)
  local results = redis.call('HGET', P .. 'leases', field) or ''
  return string.match(results, hash .. ':(%d+)'), results
end

local function keepResult(field, hash, results)
  local kept = { hash .. ':' .. num(seq) }
  for result in string.gmatch(results, '[^,]+') do
    if #kept < KEPT_RESULTS then
      kept[#kept + 1] = result
    end
  end
  write('HSET', P .. 'leases', field, table.concat(kept, ','))
end

local function markPending(channel, id)
  write('ZADD', P .. 'pending:' .. channel, 'GT', num(math.max(seq, 1)), id)
end

local function suspectAll(settlement)
  for _, change in ipairs(settlement.changes) do
    local listing = readListing(settlement.channel, change[1])
    suspectListing(listing)
    writeListing(listing)
    markPending(settlement.channel, change[1])
  end
end

-- Booked at one location of one SKU until it is resolved; nothing of the booking is taken from the caller later.
local function provision(settlement, listing, booking)
  local units, sku, location, cause = booking[1], booking[2], booking[3], booking[4]
  if listing.pv > 0 and listing.pl ~= '' then
    sku, location = listing.sku, listing.pl
  end
  units = math.max(units, -listing.pv)
  if units == 0 then
    return
  end
  append(
    units > 0 and 'p' or 'q', loadSku(sku, location), location, math.abs(units), 0, 0, units, settlement.channel,
    listing.id, '', '', settlement.actor, cause
  )
  setListing(listing, 'pv', listing.pv + units)
  setListing(listing, 'sku', sku)
  setListing(listing, 'pl', location)
end

local function applyChange(settlement, change, current, stored)
  local id, state, booking = change[1], change[4], change[5]
  local listing = current
  local args, isSame = { 'HSET', listing.key }, true
  for i = 1, #STATE do
    if state[i] ~= (stored[i] or '') then
      isSame = false
      args[#args + 1] = STATE[i]
      args[#args + 1] = state[i]
    end
  end
  if type(booking) == 'table' then
    provision(settlement, listing, booking)
  end
  if not isSame then
    write(unpack(args))
    listing.isReplaced = true
  end
  settlement.isReplacing = settlement.isReplacing or listing.isReplaced
  writeListing(listing)
  local pending = P .. 'pending:' .. settlement.channel
  if change[6] ~= '' then
    local mark = redis.call('ZSCORE', pending, id)
    if mark and tonumber(mark) <= tonumber(change[6]) then
      write('ZREM', pending, id)
    end
  end
  if change[7] == 1 then
    markPending(settlement.channel, id)
  end
end

return ledgerCall(function()
  local settlement = cjson.decode(ARGV[2])
  local field, hash = 'settled:' .. settlement.channel, redis.sha1hex(ARGV[2])
  local result, results = findResult(field, hash)
  if result then
    return reply('settled', tonumber(result))
  end
  local token = toNumber(redis.call('HGET', P .. 'leases', 'token:' .. settlement.lease))
  if settlement.token ~= token then
    suspectAll(settlement)
    return reply('suspected')
  end
  local conflicts, currents, storeds = {}, {}, {}
  for i, change in ipairs(settlement.changes) do
    currents[i] = readListing(settlement.channel, change[1])
    storeds[i] = redis.call('HMGET', currents[i].key, unpack(STATE))
    local isOtherTaken = change[3] ~= '' and currents[i].t ~= change[3]
    if currents[i].ver ~= change[2] or isOtherTaken then
      conflicts[#conflicts + 1] = change[1]
    end
  end
  if #conflicts > 0 then
    return refuse('conflict', unpack(conflicts))
  end
  for i, change in ipairs(settlement.changes) do
    applyChange(settlement, change, currents[i], storeds[i])
  end
  local records = P .. 'writes:' .. settlement.channel
  for _, id in ipairs(settlement.close) do
    write('HDEL', records, id)
  end
  for _, kept in ipairs(settlement.keep) do
    write('HSET', records, kept[1], kept[2])
  end
  -- Marks and records alone may be settled in the same words again, and must be: a mark can have come back.
  if settlement.isReplacing then
    keepResult(field, hash, results)
  end
  return reply('settled', seq)
end)
