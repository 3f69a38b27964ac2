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
-- What a settlement replaces; and that with what says whether it may.
local STATE = { 'bv', 'bt', 'ba', 'bs', 'su', 'sa', 'wa', 're', 'w' }
local TAKEN, VERSION = #STATE + 1, #STATE + 2
local READ = { unpack(STATE) }
READ[TAKEN], READ[VERSION] = 't', 'ver'
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

-- Rows of a call that go into one command: a command costs Redis and its log more than a row.
local function writeRows(rows, ...)
  if #rows == 0 then
    return
  end
  local command = { ... }
  for i = 1, #rows do
    command[#command + 1] = rows[i]
  end
  write(unpack(command))
end

-- Marks of listings that are not yet sent, as ZADD takes them.
local function addPending(marks, id)
  marks[#marks + 1] = num(math.max(seq, 1))
  marks[#marks + 1] = id
end

local function writePending(settlement, marks)
  writeRows(marks, 'ZADD', P .. 'pending:' .. settlement.channel, 'GT')
end

local function suspectAll(settlement)
  local marks = {}
  for _, change in ipairs(settlement.changes) do
    local listing = readListing(settlement.channel, change[1])
    suspectListing(listing)
    writeListing(listing)
    addPending(marks, change[1])
  end
  writePending(settlement, marks)
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

-- Returns whether anything of the listing that a later settlement would replace is another now.
local function applyChange(settlement, change, stored)
  local id, state, booking = change[1], change[4], change[5]
  local key = listingKey(settlement.channel, id)
  local args = { 'HSET', key }
  for i = 1, #STATE do
    if state[i] ~= (stored[i] or '') then
      args[#args + 1] = STATE[i]
      args[#args + 1] = state[i]
    end
  end
  local isReplaced = #args > 2
  if type(booking) == 'table' then
    local listing = readListing(settlement.channel, id)
    provision(settlement, listing, booking)
    listing.isReplaced = listing.isReplaced or isReplaced
    isReplaced = listing.isReplaced
    writeListing(listing)
  elseif isReplaced then
    args[#args + 1] = 'ver'
    args[#args + 1] = num(toNumber(stored[VERSION]) + 1)
    if not stored[VERSION] and not stored[TAKEN] then
      write('SADD', P .. 'listings:' .. settlement.channel, id)
    end
  end
  if #args > 2 then
    write(unpack(args))
  end
  return isReplaced
end

-- Drops the marks that are not newer than what was settled.
local function dropMarks(settlement, ids, upTo)
  if #ids == 0 then
    return
  end
  local pending, dropped = P .. 'pending:' .. settlement.channel, {}
  local marks = redis.call('ZMSCORE', pending, unpack(ids))
  for i = 1, #ids do
    if marks[i] and tonumber(marks[i]) <= upTo[i] then
      dropped[#dropped + 1] = ids[i]
    end
  end
  writeRows(dropped, 'ZREM', pending)
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
  local conflicts, storeds = {}, {}
  for i, change in ipairs(settlement.changes) do
    local stored = redis.call('HMGET', listingKey(settlement.channel, change[1]), unpack(READ))
    storeds[i] = stored
    local isOtherTaken = change[3] ~= '' and toNumber(stored[TAKEN]) ~= change[3]
    if toNumber(stored[VERSION]) ~= change[2] or isOtherTaken then
      conflicts[#conflicts + 1] = change[1]
    end
  end
  if #conflicts > 0 then
    return refuse('conflict', unpack(conflicts))
  end
  local isReplacing, settled, upTo, marks = false, {}, {}, {}
  for i, change in ipairs(settlement.changes) do
    isReplacing = applyChange(settlement, change, storeds[i]) or isReplacing
    if change[6] ~= '' then
      settled[#settled + 1], upTo[#upTo + 1] = change[1], change[6]
    end
    if change[7] == 1 then
      addPending(marks, change[1])
    end
  end
  dropMarks(settlement, settled, upTo)
  writePending(settlement, marks)
  local records, kept = P .. 'writes:' .. settlement.channel, {}
  for _, record in ipairs(settlement.keep) do
    kept[#kept + 1], kept[#kept + 2] = record[1], record[2]
  end
  writeRows(settlement.close, 'HDEL', records)
  writeRows(kept, 'HSET', records)
  -- Marks and records alone may be settled in the same words again, and must be: a mark can have come back.
  if isReplacing then
    keepResult(field, hash, results)
  end
  return reply('settled', seq)
end)
