-- The applied state of one order line (docs/ledger.md, "Order records"), read and written as text.
-- Invariant: the sum of `open` over a line's places is max(0, ordered - cancelled - writtenOff - shipped).
local ORDERED, CANCELLED, WRITTEN_OFF, SHIPPED, RESTOCKED, TAKEN_OUT, GIVEN_BACK = 1, 2, 3, 4, 5, 6, 7
local COUNTERS = 7
local PLACE_FIELDS = { 'open', 'shipped', 'marked', 'returned', 'lost', 'lostMarked' }

local function newPlace(line, location)
  local place = { location = location, open = 0, shipped = 0, marked = 0, returned = 0, lost = 0, lostMarked = 0 }
  line.places[#line.places + 1] = place
  return place
end

local function placeOf(line, location)
  for i = 1, #line.places do
    if line.places[i].location == location then
      return line.places[i]
    end
  end
  return newPlace(line, location)
end

local function newLine(sku, listing)
  return {
    sku = sku, listing = listing, places = {}, isKnown = true,
    counters = { 0, 0, 0, 0, 0, 0, 0 }, setAt = { 0, 0, 0, 0, 0, 0, 0 },
  }
end

local function parseLine(record)
  local sku, listing, counters, setAt, places, known =
    string.match(record, '^([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\31]*)$')
  local line = newLine(sku, listing)
  local i = 0
  for value in string.gmatch(counters, '[^,]+') do
    i = i + 1
    line.counters[i] = tonumber(value)
  end
  i = 0
  for value in string.gmatch(setAt, '[^,]+') do
    i = i + 1
    line.setAt[i] = tonumber(value)
  end
  if i == 1 then
    for j = 2, COUNTERS do
      line.setAt[j] = line.setAt[1]
    end
  end
  for text in string.gmatch(places, '[^,]+') do
    local location, numbers = string.match(text, '^([^:]*)(.*)$')
    local place = newPlace(line, location)
    i = 0
    for value in string.gmatch(numbers, ':([^:]*)') do
      i = i + 1
      place[PLACE_FIELDS[i]] = tonumber(value)
    end
  end
  line.isKnown = known ~= '0'
  return line
end

-- Every line of every order is kept for 400 days: what can be left out is left out.
local function packPlace(place)
  local last = 0
  for i = 1, #PLACE_FIELDS do
    if place[PLACE_FIELDS[i]] ~= 0 then
      last = i
    end
  end
  local text = place.location
  for i = 1, last do
    text = text .. ':' .. num(place[PLACE_FIELDS[i]])
  end
  return last > 0 and text or nil
end

local function packNumbers(list)
  local texts, isSame = {}, true
  for i = 1, #list do
    texts[i] = num(list[i])
    isSame = isSame and list[i] == list[1]
  end
  return texts, isSame
end

local function packLine(line, isCompact)
  local places = {}
  for i = 1, #line.places do
    places[#places + 1] = packPlace(line.places[i])
  end
  local counters = packNumbers(line.counters)
  local setAt, isSame = packNumbers(line.setAt)
  return line.sku
    .. US .. line.listing
    .. US .. table.concat(counters, ',')
    .. US .. (isCompact and '' or isSame and setAt[1] or table.concat(setAt, ','))
    .. US .. table.concat(places, ',')
    .. US .. (line.isKnown and '1' or '0')
end

local function committedOf(counters)
  return math.max(0, counters[ORDERED] - counters[CANCELLED] - counters[WRITTEN_OFF] - counters[SHIPPED])
end
