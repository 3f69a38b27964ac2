-- What an own order does to a listing: a port of src/domain/absorb.ts (a differential test keeps them equal).
-- Invariant: `ver` grows with every change of what a settlement would replace; `t` and `tr` belong to orders alone.
local MAX_RISES = 64
local LISTING_FIELDS = { 'sku', 't', 'bv', 'bt', 'ba', 'su', 'sa', 'pv', 'pl', 'tr', 'ver' }
local LISTING_NUMBERS = { t = true, bt = true, ba = true, pv = true, ver = true }

local function listingKey(channel, id)
  return P .. 'listing:' .. channel .. ':' .. id
end

local function readListing(channel, id)
  local key = listingKey(channel, id)
  local row = redis.call('HMGET', key, unpack(LISTING_FIELDS))
  local listing = { key = key, id = id, channel = channel, isNew = not row[11] and not row[2], changed = {} }
  for i = 1, #LISTING_FIELDS do
    local name = LISTING_FIELDS[i]
    listing[name] = LISTING_NUMBERS[name] and toNumber(row[i]) or row[i] or ''
  end
  return listing
end

local function setListing(listing, name, value)
  if listing[name] ~= value then
    listing[name] = value
    listing.changed[name] = true
    listing.isReplaced = listing.isReplaced or (name ~= 't' and name ~= 'tr' and name ~= 'sku')
  end
end

local function suspectListing(listing)
  setListing(listing, 'su', '1')
  setListing(listing, 'sa', num(wallMs))
  -- Also when it was suspected in this very millisecond: a settlement computed before must not clear it.
  listing.isReplaced = true
end

-- Appends a rise; beyond the limit the oldest by platform time is dropped. An order of many lines brings many: their text
-- is read once and made once (writeListing).
local function addRise(listing, at, units)
  local rises = listing.rises
  if not rises then
    rises = { n = 0, texts = {}, moments = {} }
    listing.rises = rises
    for part, moment in string.gmatch(listing.tr, '((-?%d+):[^,]+)') do
      rises.n = rises.n + 1
      rises.texts[rises.n], rises.moments[rises.n] = part, tonumber(moment)
    end
  end
  rises.n = rises.n + 1
  rises.texts[rises.n], rises.moments[rises.n] = num(at) .. ':' .. num(units), at
  if rises.n > MAX_RISES then
    local moments, oldest = rises.moments, 1
    for i = 2, rises.n do
      if moments[i] < moments[oldest] then
        oldest = i
      end
    end
    table.remove(rises.texts, oldest)
    table.remove(moments, oldest)
    rises.n = rises.n - 1
  end
  listing.changed.tr = true
end

-- `units` taken by the platform (negative: given back), at some moment from `earliest` to `at` by its clock.
-- Returns the provisional units that this explains.
local function absorbTaken(listing, units, at, earliest, isAbsolute, skew)
  if units == 0 then
    return 0
  end
  setListing(listing, 't', listing.t + units)
  addRise(listing, at, units)
  if listing.bv == '' then
    return 0
  end
  local isSurelyBefore = at + skew <= listing.ba
  local isSurelyAfter = earliest - skew > listing.ba
  local isInBase = isSurelyBefore or (not isSurelyAfter and units > 0)
  local consumed = 0
  if isInBase and units > 0 then
    consumed = math.min(units, listing.pv)
  end
  if isInBase then
    setListing(listing, 'bt', listing.bt + units)
  end
  setListing(listing, 'pv', listing.pv - consumed)
  local isUndecidable = not isSurelyBefore and not isSurelyAfter
  if isUndecidable or (isAbsolute and isInBase and consumed ~= units) then
    suspectListing(listing)
  end
  return consumed
end

-- Plans what changed of the listing.
local function writeListing(listing)
  if listing.isReplaced then
    listing.ver = listing.ver + 1
    listing.changed.ver = true
  end
  if listing.rises then
    listing.tr = table.concat(listing.rises.texts, ',')
  end
  local args = { 'HSET', listing.key }
  for name in pairs(listing.changed) do
    local value = listing[name]
    args[#args + 1] = name
    args[#args + 1] = LISTING_NUMBERS[name] and num(value) or value
  end
  if #args > 2 then
    write(unpack(args))
    if listing.isNew then
      write('SADD', P .. 'listings:' .. listing.channel, listing.id)
    end
  end
end
