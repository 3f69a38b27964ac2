#!lua
-- apply-order: what has become known of an order: at most 200 of its lines, as a snapshot.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] JSON: channel, id, placedAt, changedAt (platform ms), isFetch, beganAt (ledger
--   ms), isFirstSeen (an earlier call for this snapshot answered so), locations [[location, 1 when a WMS owns it]],
--   isAbsolute, skew, adopt ('' | 'on-hand' | 'available'), actor,
--   lines [[line id, sku, listing id, [7 counters], 1 when taken is known, committedAt, shippedFrom, lostFrom]]; the last
--   three are [[location, units]], or 0 when the platform does not say
-- Returns {'applied', seq, ms, entries written, refused falls, 1 when the order was not known before}
--         {'overflow', seq, ms, sku, location}
-- Invariant: applying any snapshots of an order in any order and number ends the same: counters merge by max, falls only
-- by a later fetch (src/domain/merge.ts), movements are the differences. Per level, `committed` is the sum of open units
-- of lines, open credits and shipping marks. A snapshot that says nothing new writes nothing.
--- @include "include/prelude.lua"
--- @include "include/order-movements.lua"
--- @include "include/listing.lua"

-- Merges the snapshot's counters; `setAt` of the line moves at once. Returns the new counters, refused falls, whether
-- counters differ, and whether anything has to be stored.
local function mergeLine(order, line, seen)
  local merged, refused, differs, isTouched = {}, 0, false, false
  for i = 1, COUNTERS do
    local before, after = line.counters[i], seen[i]
    local isLaterFetch = order.isFetch and not order.isOlder and order.beganAt > line.setAt[i]
    if after == before then
      -- A later fetch that confirms the value keeps an earlier, slower one from lowering it.
      isTouched = isTouched or isLaterFetch
      line.setAt[i] = isLaterFetch and order.beganAt or line.setAt[i]
    elseif after < before and not isLaterFetch then
      refused = refused + 1
      after = before
    else
      line.setAt[i] = order.beganAt
      differs, isTouched = true, true
    end
    merged[i] = after
  end
  return merged, refused, differs, isTouched
end

-- A line that is older than the channel's baseline: its history is not repeated, only what is open is committed.
local function adoptLine(order, line, row, s, merged)
  line.counters = merged
  local list = placesToOpen(order, line, row, s, committedOf(merged), {})
  if #list == 0 then
    list[1] = { location = anyLocation(order, line, row), units = 0 }
  end
  local operation = 'adopted:' .. table.concat(packNumbers(merged), ',')
  for i = 1, #list do
    local here = list[i]
    local isAdded = order.adopt == 'available' and not order.isWms[here.location]
    placeOf(line, here.location).open = here.units
    emit(
      order, line, s, 'o', here.location, i == 1 and merged[ORDERED] or 0, isAdded and here.units or 0, here.units, operation
    )
  end
  local gone = placesToShip(order, line, row, merged[SHIPPED])
  for i = 1, #gone do
    placeOf(line, gone[i].location).shipped = gone[i].units
  end
  local place = placeOf(line, anyLocation(order, line, row))
  place.returned, place.lost = merged[RESTOCKED], merged[WRITTEN_OFF]
end

local function resolveProvision(order, listing, units)
  if units > 0 then
    append(
      'q', loadSku(listing.sku, listing.pl), listing.pl, units, 0, 0, -units, order.channel, listing.id, '', '',
      order.actor, 'consumed:' .. order.id
    )
  end
end

local function absorbLine(order, line, row, takenOut, givenBack, sincePlaced)
  local listing = order.listings[line.listing]
  if not listing then
    listing = readListing(order.channel, line.listing)
    order.listings[line.listing] = listing
  end
  setListing(listing, 'sku', listing.sku == '' and line.sku or listing.sku)
  -- When the order changed is not known, only between which two looks at it (any later touch moves its time).
  local earliest = math.min((order.isFirstSeen or sincePlaced) and order.placedAt or order.knownAt, order.changedAt)
  local at, isAbsolute, skew = order.changedAt, order.isAbsolute, order.skew
  resolveProvision(order, listing, absorbTaken(listing, takenOut, at, earliest, isAbsolute, skew))
  resolveProvision(order, listing, absorbTaken(listing, -givenBack, at, earliest, isAbsolute, skew))
  if not row.isKnown then
    suspectListing(listing)
  end
end

-- The platform says only now from which of its listings the line took, or the units were moved to another: what was counted
-- at the listing before is taken back there, in an entry of its own.
local function leaveListing(order, line, row)
  local takenOut, givenBack = line.counters[TAKEN_OUT], line.counters[GIVEN_BACK]
  if takenOut == 0 and givenBack == 0 then
    return
  end
  line.dTaken, line.dGivenBack = givenBack - takenOut, -givenBack
  emit(order, line, loadSku(line.sku, order.locations[1]), 'o', anyLocation(order, line, row), 0, 0, 0, '')
  line.hasEntry = false
  absorbLine(order, line, row, -takenOut, -givenBack, true)
end

-- Returns refused falls and whether the line has to be stored.
local function applyLine(order, line, row, isNew)
  local merged, refused, differs, isTouched = mergeLine(order, line, row.counters)
  local takenOut = merged[TAKEN_OUT] - line.counters[TAKEN_OUT]
  local givenBack = merged[GIVEN_BACK] - line.counters[GIVEN_BACK]
  if line.listing == '' and row.listing ~= '' then
    -- What it took before its listing was known was counted nowhere.
    line.listing = row.listing
    takenOut, givenBack = merged[TAKEN_OUT], merged[GIVEN_BACK]
    differs, isTouched = true, true
  end
  -- An adopted line's units were in the first reading of wherever they were: nothing of it was counted.
  local isMoved = line.listing ~= '' and row.listing ~= '' and line.listing ~= row.listing
    and row.isKnown and order.isFetch and not order.isOlder and order.adopt == ''
  if isMoved then
    leaveListing(order, line, row)
    line.listing = row.listing
    takenOut, givenBack = merged[TAKEN_OUT], merged[GIVEN_BACK]
    differs, isTouched = true, true
  end
  if line.isKnown ~= row.isKnown then
    line.isKnown, isTouched = row.isKnown, true
  end
  local isAdopted = isNew and order.adopt ~= ''
  if isAdopted then
    -- The listing's first reading shows it already: `taken` counts from there on, so that a base's value and `takenAt`
    -- together say what the listing showed before the orders that the ledger counts.
    takenOut, givenBack = 0, 0
  end
  line.dTaken, line.dGivenBack = takenOut - givenBack, givenBack
  if differs then
    local first = row.committedAt and row.committedAt[1]
    local s = loadSku(line.sku, first and first.location or order.locations[1])
    if isAdopted then
      adoptLine(order, line, row, s, merged)
    else
      moveLine(order, line, row, s, merged)
    end
    if not line.hasEntry then
      emit(order, line, s, 'o', anyLocation(order, line, row), 0, 0, 0, '')
    end
    if line.listing ~= '' and (takenOut ~= 0 or givenBack ~= 0 or not row.isKnown) then
      absorbLine(order, line, row, takenOut, givenBack, isMoved)
    end
  elseif row.committedAt and committedOf(line.counters) > 0 then
    followCommittedAt(order, line, row, loadSku(line.sku, order.locations[1]))
  end
  return refused, isTouched
end

local function readPlaces(rows)
  if type(rows) ~= 'table' then
    return nil
  end
  local places = {}
  for i = 1, #rows do
    addUnits(places, rows[i][1], rows[i][2])
  end
  return places
end

return ledgerCall(function()
  local order = cjson.decode(ARGV[2])
  order.key = orderKey(order.channel, order.id)
  order.credits, order.listings, order.isWms = {}, {}, {}
  for i = 1, #order.locations do
    local location = order.locations[i]
    order.isWms[location[1]] = location[2] == 1
    order.locations[i] = location[1]
  end
  local names = { 'm' }
  for i = 1, #order.lines do
    names[i + 1] = 'l:' .. order.lines[i][1]
  end
  local stored = redis.call('HMGET', order.key, unpack(names))
  local placedAt, firstSeenAt, changedAt
  if stored[1] then
    placedAt, firstSeenAt, changedAt = string.match(stored[1], '^([^\31]*)\31([^\31]*)\31([^\31]*)$')
    changedAt = tonumber(changedAt)
  end
  local isUnknown = not stored[1]
  order.isFirstSeen = order.isFirstSeen or isUnknown
  order.knownAt = changedAt or order.changedAt
  order.isOlder = order.changedAt + order.skew < order.knownAt

  local before, refusals = entryCount, 0
  local lines, fields = {}, { 'HSET', order.key }
  for i = 1, #order.lines do
    local given = order.lines[i]
    local row = {
      listing = given[3], counters = given[4], isKnown = given[5] == 1,
      committedAt = readPlaces(given[6]), shippedFrom = readPlaces(given[7]), lostFrom = readPlaces(given[8]),
    }
    if changedAt and order.changedAt < changedAt then
      -- An older snapshot may still raise a counter; where units are now it cannot know.
      row.committedAt = nil
    end
    local line = lines[given[1]]
    local isNew = not line and not stored[i + 1]
    if not line then
      line = isNew and newLine(given[2], given[3]) or parseLine(stored[i + 1])
      line.id = given[1]
      lines[given[1]] = line
    end
    line.hasEntry = false
    local refused, isTouched = applyLine(order, line, row, isNew)
    refusals = refusals + refused
    if isTouched or line.hasMoved then
      fields[#fields + 1] = names[i + 1]
      fields[#fields + 1] = packLine(line)
    end
  end
  if #fields > 2 then
    fields[#fields + 1] = 'm'
    fields[#fields + 1] = (placedAt or num(order.placedAt))
      .. US .. (firstSeenAt or num(wallMs))
      .. US .. num(math.max(order.changedAt, changedAt or 0))
    write(unpack(fields))
  end
  if entryCount > before or (isUnknown and #fields > 2) then
    write('ZADD', P .. 'orders', num(wallMs), orderMember(order.channel, order.id))
  end
  for _, listing in pairs(order.listings) do
    writeListing(listing)
  end
  for _, credit in pairs(order.credits) do
    if credit and credit.isChanged then
      writeCredit(credit, order.channel, order.id)
    end
  end
  return reply('applied', entryCount - before, refusals, order.isFirstSeen and 1 or 0)
end)
