-- Credit of an order for one SKU, `k:<sku>` in the order's hash: netted US location:units,location:units
--   netted  units of committed holds already matched to ordered units
--   open    units committed by holds for which no ordered unit was seen yet, where they are committed
-- Invariant: a unit bought through a hold is committed once, whichever of the commit and the order arrives first:
--   commit of n: net = min(n, max(0, ordered units of the SKU - netted)) commits nothing, the rest becomes open;
--   ordered rises by n: m = min(open, ordered - netted) leaves open and `committed` at its locations.
-- A later fall of ordered (an edited order) re-opens nothing: the order is the better witness.
local function readCredit(key, sku)
  local record = redis.call('HGET', key, 'k:' .. sku)
  local credit = { key = key, sku = sku, netted = 0, open = {}, openUnits = 0 }
  if record then
    local netted, open = string.match(record, '^([^\31]*)\31(.*)$')
    credit.netted = toNumber(netted)
    for location, units in string.gmatch(open, '([^:,]+):(%d+)') do
      credit.open[#credit.open + 1] = { location = location, units = tonumber(units) }
      credit.openUnits = credit.openUnits + tonumber(units)
    end
  end
  return credit
end

-- Adds open units at a location.
local function addOpenCredit(credit, location, units)
  credit.openUnits = credit.openUnits + units
  for i = 1, #credit.open do
    if credit.open[i].location == location then
      credit.open[i].units = credit.open[i].units + units
      return
    end
  end
  credit.open[#credit.open + 1] = { location = location, units = units }
end

-- Plans the credit's record and its place among the open ones. `direct` is the merchant's own channel: its commits
-- wait for no platform's order, so they raise no alert.
local function writeCredit(credit, channel, orderId)
  local open = {}
  for i = 1, #credit.open do
    local part = credit.open[i]
    if part.units > 0 then
      open[#open + 1] = part.location .. ':' .. num(part.units)
    end
  end
  write('HSET', credit.key, 'k:' .. credit.sku, num(credit.netted) .. US .. table.concat(open, ','))
  local member = orderMember(channel, orderId) .. US .. credit.sku
  if credit.openUnits > 0 and channel ~= 'direct' then
    write('ZADD', P .. 'credits', 'NX', num(wallMs), member)
  else
    write('ZREM', P .. 'credits', member)
  end
end

-- Ordered units per SKU over all lines of the order seen so far.
local function orderedUnits(key)
  local row = redis.call('HGETALL', key)
  local ordered = {}
  for i = 1, #row, 2 do
    if string.sub(row[i], 1, 2) == 'l:' then
      local sku, units = string.match(row[i + 1], '^([^\31]*)\31[^\31]*\31(%d+)')
      if sku then
        ordered[sku] = (ordered[sku] or 0) + tonumber(units)
      end
    end
  end
  return ordered
end
