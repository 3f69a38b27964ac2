-- Where the units of an order line are committed, leave from and come back to. `order` holds: locations (the channel's,
-- in order), isWms (by location), channel, id, actor, changedAt (platform ms), extra times. `row` is the line's snapshot:
-- committedAt, shippedFrom and lostFrom are {location, units} rows, or nothing when the platform does not say.
--- @include "include/order-record.lua"

local function addUnits(list, location, units)
  if units <= 0 then
    return
  end
  for i = 1, #list do
    if list[i].location == location then
      list[i].units = list[i].units + units
      return
    end
  end
  list[#list + 1] = { location = location, units = units }
end

local function unitsAt(list, location)
  local units = 0
  for i = 1, list and #list or 0 do
    if list[i].location == location then
      units = units + list[i].units
    end
  end
  return units
end

-- The first location that can, then a split, the remainder at the first: it goes negative there, which is the signal.
local function route(order, s, units)
  local locations = order.locations
  for i = 1, #locations do
    local level = levelOf(s, locations[i])
    if level.o - level.c - level.r >= units then
      return { { location = locations[i], units = units } }
    end
  end
  local list, left = {}, units
  for i = 1, #locations do
    local level = levelOf(s, locations[i])
    local share = math.min(left, math.max(0, level.o - level.c - level.r))
    addUnits(list, locations[i], share)
    left = left - share
  end
  addUnits(list, locations[1], left)
  return list
end

-- A place for entries that move nothing: where the line is, else where the platform says, else the first location.
local function anyLocation(order, line, row)
  local place = line.places[1] or (row.shippedFrom and row.shippedFrom[1]) or (row.committedAt and row.committedAt[1])
    or (row.lostFrom and row.lostFrom[1])
  return place and place.location or order.locations[1]
end

-- Places for `units` more committed units: what the platform says, then the credit's own places, then routing.
local function placesToOpen(order, line, row, s, units, nettedAt)
  local list, left = {}, units
  for i = 1, row.committedAt and #row.committedAt or 0 do
    local at = row.committedAt[i]
    local share = math.min(left, math.max(0, at.units - placeOf(line, at.location).open - unitsAt(list, at.location)))
    addUnits(list, at.location, share)
    left = left - share
  end
  for i = 1, #nettedAt do
    local share = math.min(left, nettedAt[i].units)
    addUnits(list, nettedAt[i].location, share)
    left = left - share
  end
  if left > 0 and row.committedAt and row.committedAt[1] then
    addUnits(list, row.committedAt[1].location, left)
  elseif left > 0 then
    local routed = route(order, s, left)
    for i = 1, #routed do
      addUnits(list, routed[i].location, routed[i].units)
    end
  end
  return list
end

-- Places that give up `units` committed units: first where more is open than the platform says, then the last split off.
local function placesToClose(line, row, units)
  local list, left = {}, units
  for i = #line.places, 1, -1 do
    local place = line.places[i]
    if row.committedAt then
      local share = math.min(left, math.max(0, place.open - unitsAt(row.committedAt, place.location)))
      addUnits(list, place.location, share)
      left = left - share
    end
  end
  for i = #line.places, 1, -1 do
    local place = line.places[i]
    local share = math.min(left, place.open - unitsAt(list, place.location))
    addUnits(list, place.location, share)
    left = left - share
  end
  return list
end

-- Places that `units` more shipped units left from: what the platform says, then where the line is open.
local function placesToShip(order, line, row, units)
  local list, left = {}, units
  for i = 1, row.shippedFrom and #row.shippedFrom or 0 do
    local at = row.shippedFrom[i]
    local place = placeOf(line, at.location)
    local gone = place.shipped + place.marked + unitsAt(list, at.location)
    local share = math.min(left, math.max(0, at.units - gone))
    addUnits(list, at.location, share)
    left = left - share
  end
  for i = 1, #line.places do
    local place = line.places[i]
    local share = math.min(left, math.max(0, place.open - unitsAt(list, place.location)))
    addUnits(list, place.location, share)
    left = left - share
  end
  addUnits(list, anyLocation(order, line, row), left)
  return list
end

-- Places that `units` more written-off units are missing from: what the platform says, then where the line is open.
local function placesToLose(order, line, row, units, open)
  local list, left = {}, units
  for i = 1, row.lostFrom and #row.lostFrom or 0 do
    local at = row.lostFrom[i]
    local place = placeOf(line, at.location)
    local share = math.min(left, math.max(0, at.units - place.lost - place.lostMarked))
    addUnits(list, at.location, share)
    left = left - share
  end
  local closing = placesToClose(line, row, math.min(left, open))
  for i = 1, #closing do
    local share = math.min(left, math.max(0, closing[i].units - unitsAt(list, closing[i].location)))
    addUnits(list, closing[i].location, share)
    left = left - share
  end
  addUnits(list, anyLocation(order, line, row), left)
  return list
end
