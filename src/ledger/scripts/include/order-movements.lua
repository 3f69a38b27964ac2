-- The movements behind a change of one line's counters. What raises `committed` comes first, so that a reader of the log
-- who stands between two entries of one call sees too little available, never too much.
-- At a place whose on-hand belongs to a WMS, units that leave are only marked: they stay in `committed` until the WMS
-- says that they are gone.
--- @include "include/order-places.lua"
--- @include "include/authority.lua"
--- @include "include/credits.lua"

local function emit(order, line, s, code, location, units, dOnHand, dCommitted, operation)
  local extra = line.listing .. ';' .. num(line.dTaken) .. ';' .. num(order.changedAt)
  -- Both counters moved, or one fell: the difference alone would not say which.
  local isPlain = line.dGivenBack == math.max(-line.dTaken, 0)
  if not isPlain then
    extra = extra .. ',' .. num(line.dGivenBack)
  end
  line.dTaken, line.dGivenBack = 0, 0
  line.hasEntry = true
  noteOnHand(s, location, math.min(order.changedAt, wallMs), dOnHand)
  append(
    code, s, location, units, dOnHand, dCommitted, 0, order.channel, order.id, line.id, operation, order.actor, extra
  )
end

-- Changes a counter and returns how much `committed` of the line grows by it (the floor at 0 may swallow units).
local function count(line, counter, units)
  local before = committedOf(line.counters)
  line.counters[counter] = line.counters[counter] + units
  return committedOf(line.counters) - before
end

-- One entry per location of `list`. Units beyond the list (swallowed by the floor) are on the first entry.
local function emitEach(order, line, row, s, code, list, units, sign)
  local rest = math.abs(units)
  for i = 1, #list do
    rest = rest - list[i].units
  end
  if #list == 0 then
    list = { { location = anyLocation(order, line, row), units = 0 } }
  end
  for i = 1, #list do
    local here = list[i]
    local place = placeOf(line, here.location)
    place.open = place.open + sign * here.units
    local counted = here.units + (i == 1 and rest or 0)
    emit(order, line, s, code, here.location, units < 0 and -counted or counted, 0, sign * here.units, '')
  end
end

-- The credit of commits that named this order, or false. Rare: looked for only when ordered units change.
local function creditOf(order, sku)
  local credit = order.credits[sku]
  if credit == nil then
    credit = redis.call('HEXISTS', order.key, 'k:' .. sku) == 1 and readCredit(order.key, sku)
    if credit then
      order.ordered = order.ordered or orderedUnits(order.key)
    end
    order.credits[sku] = credit
  end
  return credit
end

-- Open credit that `units` newly ordered ones settle: {location, units} rows, taken from the credit.
local function netCredit(order, sku, units)
  local credit = creditOf(order, sku)
  local list = {}
  if not credit then
    return list
  end
  order.ordered[sku] = (order.ordered[sku] or 0) + units
  local left = math.min(units, credit.openUnits, order.ordered[sku] - credit.netted)
  if left <= 0 then
    return list
  end
  credit.isChanged = true
  credit.netted = credit.netted + left
  credit.openUnits = credit.openUnits - left
  for i = 1, #credit.open do
    local part = credit.open[i]
    local share = math.min(left, part.units)
    part.units = part.units - share
    left = left - share
    addUnits(list, part.location, share)
  end
  return list
end

local function addOrdered(order, line, row, s, units)
  local netted = netCredit(order, line.sku, units)
  local list = placesToOpen(order, line, row, s, count(line, ORDERED, units), netted)
  local rest = units
  for i = 1, #list do
    rest = rest - list[i].units
  end
  for i = 1, #netted do
    if unitsAt(list, netted[i].location) == 0 then
      list[#list + 1] = { location = netted[i].location, units = 0 }
    end
  end
  if #list == 0 then
    list[1] = { location = anyLocation(order, line, row), units = 0 }
  end
  for i = 1, #list do
    local here = list[i]
    local place = placeOf(line, here.location)
    place.open = place.open + here.units
    local credit = unitsAt(netted, here.location)
    local operation = credit > 0 and 'credit:' .. num(credit) or ''
    emit(order, line, s, 'o', here.location, here.units + (i == 1 and rest or 0), 0, here.units - credit, operation)
  end
end

-- Moves open units of the line to the location, so that `units` are open there.
local function reassignTo(order, line, s, location, units)
  local target = placeOf(line, location)
  for i = #line.places, 1, -1 do
    local place = line.places[i]
    local moved = math.min(place.open, units - target.open)
    if place ~= target and moved > 0 then
      place.open, target.open = place.open - moved, target.open + moved
      append('m', s, location, moved, 0, moved, 0, order.channel, order.id, line.id, '', order.actor, '')
      append('m', s, place.location, -moved, 0, -moved, 0, order.channel, order.id, line.id, '', order.actor, '')
    end
  end
end

-- Units leave a place, shipped or lost: on-hand falls there, or they are marked where a WMS owns the figure.
local function leave(order, line, s, code, counter, location, units)
  local closes = -count(line, counter, units)
  reassignTo(order, line, s, location, closes)
  local place = placeOf(line, location)
  place.open = place.open - closes
  local gone, marked = 'shipped', 'marked'
  if counter == WRITTEN_OFF then
    gone, marked = 'lost', 'lostMarked'
  end
  if order.isWms[location] then
    place[marked] = place[marked] + units
    addMark(s, location, wallMs, units)
    emit(order, line, s, code, location, units, 0, units - closes, '')
  else
    place[gone] = place[gone] + units
    emit(order, line, s, code, location, units, -units, -closes, '')
  end
end

-- A correction: units had not left after all. Marks that the WMS has confirmed meanwhile stay with the WMS.
local function comeBack(order, line, row, s, code, counter, units)
  local gone, marked = 'shipped', 'marked'
  if counter == WRITTEN_OFF then
    gone, marked = 'lost', 'lostMarked'
  end
  local left, sign = units, code == 'u' and 1 or -1
  for i = #line.places, 1, -1 do
    local place = line.places[i]
    local unmarked = math.min(left, place[marked])
    local returned = math.min(left - unmarked, place[gone])
    if unmarked + returned > 0 then
      place[marked], place[gone] = place[marked] - unmarked, place[gone] - returned
      left = left - unmarked - returned
      local opens = count(line, counter, -(unmarked + returned))
      place.open = place.open + opens
      local closed = unmarked > 0 and closeMarks(s, place.location, unmarked, 'newest') or 0
      local operation = closed > 0 and 'closed:' .. num(closed) or ''
      emit(
        order, line, s, code, place.location, sign * (unmarked + returned), returned, opens - closed, operation
      )
    end
  end
  if left > 0 then
    emitEach(order, line, row, s, code, placesToOpen(order, line, row, s, count(line, counter, -left), {}), sign * left, 1)
  end
end

-- Units that came back and can be sold again: only the authority of the place can raise its on-hand.
local function restock(order, line, row, s, units)
  local left = units
  line.counters[RESTOCKED] = line.counters[RESTOCKED] + units
  for i = 1, #line.places do
    local place = line.places[i]
    local back = math.min(left, math.max(0, place.shipped + place.marked + place.lost - place.returned))
    if units < 0 then
      back = math.max(left, -place.returned)
    end
    if back ~= 0 then
      left = left - back
      place.returned = place.returned + back
      emit(order, line, s, 'b', place.location, back, order.isWms[place.location] and 0 or back, 0, '')
    end
  end
  if left ~= 0 then
    local place = placeOf(line, anyLocation(order, line, row))
    place.returned = place.returned + left
    emit(order, line, s, 'b', place.location, left, order.isWms[place.location] and 0 or left, 0, '')
  end
end

-- The platform names other places for the open units than the line has.
local function followCommittedAt(order, line, row, s)
  if not row.committedAt then
    return
  end
  local left = committedOf(line.counters)
  local targets = {}
  for i = 1, #row.committedAt do
    local share = math.min(left, row.committedAt[i].units)
    addUnits(targets, row.committedAt[i].location, share)
    left = left - share
  end
  for i = 1, #targets do
    local target = placeOf(line, targets[i].location)
    for j = #line.places, 1, -1 do
      local place = line.places[j]
      local moved = math.min(targets[i].units - target.open, place.open - unitsAt(targets, place.location))
      if moved > 0 then
        line.hasMoved = true
        place.open, target.open = place.open - moved, target.open + moved
        append('m', s, target.location, moved, 0, moved, 0, order.channel, order.id, line.id, '', order.actor, '')
        append('m', s, place.location, -moved, 0, -moved, 0, order.channel, order.id, line.id, '', order.actor, '')
      end
    end
  end
end

-- Plans every movement that leads from the line's counters to `merged`, and the places after it.
local function moveLine(order, line, row, s, merged)
  local was, d = line.counters, {}
  for i = 1, COUNTERS do
    d[i] = merged[i] - was[i]
  end
  if d[ORDERED] > 0 then
    addOrdered(order, line, row, s, d[ORDERED])
  end
  if d[CANCELLED] < 0 then
    local opens = count(line, CANCELLED, d[CANCELLED])
    emitEach(order, line, row, s, 'x', placesToOpen(order, line, row, s, opens, {}), d[CANCELLED], 1)
  end
  if d[SHIPPED] < 0 then
    comeBack(order, line, row, s, 'u', SHIPPED, -d[SHIPPED])
  end
  if d[WRITTEN_OFF] < 0 then
    comeBack(order, line, row, s, 'w', WRITTEN_OFF, -d[WRITTEN_OFF])
  end
  if d[SHIPPED] > 0 then
    local list = placesToShip(order, line, row, d[SHIPPED])
    for i = 1, #list do
      leave(order, line, s, 's', SHIPPED, list[i].location, list[i].units)
    end
  end
  if d[CANCELLED] > 0 then
    local closes = -count(line, CANCELLED, d[CANCELLED])
    emitEach(order, line, row, s, 'x', placesToClose(line, row, closes), d[CANCELLED], -1)
  end
  if d[WRITTEN_OFF] > 0 then
    local list = placesToLose(order, line, row, d[WRITTEN_OFF], committedOf(was))
    for i = 1, #list do
      leave(order, line, s, 'w', WRITTEN_OFF, list[i].location, list[i].units)
    end
  end
  if d[ORDERED] < 0 then
    netCredit(order, line.sku, d[ORDERED])
    local closes = -count(line, ORDERED, d[ORDERED])
    emitEach(order, line, row, s, 'o', placesToClose(line, row, closes), d[ORDERED], -1)
  end
  if d[RESTOCKED] ~= 0 then
    restock(order, line, row, s, d[RESTOCKED])
  end
  line.counters[TAKEN_OUT], line.counters[GIVEN_BACK] = merged[TAKEN_OUT], merged[GIVEN_BACK]
  followCommittedAt(order, line, row, s)
end
