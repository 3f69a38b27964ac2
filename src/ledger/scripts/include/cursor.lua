-- Cursors of `P cursors`. They never move back, whoever is late.

-- Whole numbers as text, of any length: platform ids and times must not pass through a double.
local function isLower(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end

-- `order` is 'position' (`epoch-seq`, epoch first) or 'number'.
local function isBehind(current, to, order)
  if order == 'number' then
    return isLower(current, to)
  end
  local epoch, place = string.match(current, '^(%d+)-(%d+)$')
  local toEpoch, toPlace = string.match(to, '^(%d+)-(%d+)$')
  if epoch == toEpoch then
    return isLower(place, toPlace)
  end
  return isLower(epoch, toEpoch)
end

-- True when the cursor stands at `to` or beyond after the call; plans the move.
local function moveForward(name, to, order)
  local current = redis.call('HGET', P .. 'cursors', name)
  if current and current ~= '' and not isBehind(current, to, order) then
    return current == to
  end
  write('HSET', P .. 'cursors', name, to)
  return true
end
