-- What the on-hand authority of a level is known to have done: shipping marks and the ring of its movements.
--   g:<loc>  open shipping marks `at:units`, oldest first; they are part of `committed`
--   h:<loc>  movements of on-hand `effectiveAt:delta`, oldest first; hx:<loc> newest time dropped from it
--   a:<loc>  as-of of the last applied count, b:<loc> the clock skew it was applied with
local MAX_MARKS = 64
local MAX_RING = 64

local function readTimed(s, name)
  local list = {}
  for at, units in string.gmatch(skuField(s, name), '(-?%d+):(-?%d+)') do
    list[#list + 1] = { at = tonumber(at), units = tonumber(units) }
  end
  return list
end

local function writeTimed(s, name, list)
  local parts = {}
  for i = 1, #list do
    parts[i] = num(list[i].at) .. ':' .. num(list[i].units)
  end
  setSkuField(s, name, table.concat(parts, ','))
end

-- Keeps the list in time order; units of one moment are one row.
local function insertTimed(list, at, units)
  local i = #list
  while i > 0 and list[i].at > at do
    i = i - 1
  end
  if i > 0 and list[i].at == at then
    list[i].units = list[i].units + units
  else
    table.insert(list, i + 1, { at = at, units = units })
  end
end

-- Too many marks: the oldest joins the next one, so it closes later than it might, never sooner.
local function addMark(s, location, at, units)
  local marks = readTimed(s, 'g:' .. location)
  insertTimed(marks, at, units)
  if #marks > MAX_MARKS then
    marks[2].units = marks[2].units + marks[1].units
    table.remove(marks, 1)
  end
  writeTimed(s, 'g:' .. location, marks)
end

-- Closes at most `units`, from `from` ('oldest' or 'newest'), only marks at or before `upTo` when given.
-- Returns the units closed; the caller takes them from `committed`.
local function closeMarks(s, location, units, from, upTo)
  local marks = readTimed(s, 'g:' .. location)
  local left = units
  while left > 0 and #marks > 0 do
    local i = from == 'oldest' and 1 or #marks
    if upTo and marks[i].at > upTo then
      break
    end
    local closed = math.min(left, marks[i].units)
    left = left - closed
    marks[i].units = marks[i].units - closed
    if marks[i].units == 0 then
      table.remove(marks, i)
    end
  end
  if left < units then
    writeTimed(s, 'g:' .. location, marks)
  end
  return units - left
end

-- Remembers a change of on-hand for counts that are as of an earlier moment.
local function noteOnHand(s, location, at, units)
  if units == 0 then
    return
  end
  local ring = readTimed(s, 'h:' .. location)
  insertTimed(ring, at, units)
  if #ring > MAX_RING then
    local dropped = table.remove(ring, 1).at
    if dropped > toNumber(skuField(s, 'hx:' .. location)) then
      setSkuField(s, 'hx:' .. location, num(dropped))
    end
  end
  writeTimed(s, 'h:' .. location, ring)
end
