-- Taking units of many lines, all or none: what every script that makes holds shares. `id`, `actor`, `agent`, `pool` and
-- `settlesOn` are those of the request at hand; a script that makes several requests sets them before each.
local SWEEP_ON = 100
local match, gmatch = string.match, string.gmatch
local REQUEST_PATTERN = '^' .. string.rep('([^\31]*)\31', 7) .. '(.*)$'
local LINE_PATTERN = '^' .. string.rep('([^\29]*)\29', 5) .. '(.*)$'
local newHolds, newDeadlines = {}, {}
local tentativeLevels, tentativeCounts = {}, {}
local hasSweptOn = false
-- The request at hand.
local id, actor, agent, pool, settlesOn
-- What it would take, part by part.
local partSkus, partLocations, partUnits, partCount = {}, {}, {}, 0

-- Before stock is denied, what is due already is given back: a bounded look beyond the few of every call.
local function sweepOn()
  if hasSweptOn or sweptHolds < SWEEP_PER_CALL then
    return false
  end
  hasSweptOn = true
  return sweepDue(SWEEP_ON) > 0
end

local function freeAt(level)
  return level.o - level.c - level.r - (level.taken or 0)
end

-- Without a cap the counter's own range is the limit: one request must not refuse the others of its batch by overflow.
local function leftUnder(cap, hash, field)
  return math.min(tonumber(cap) or MAX_UNITS, MAX_UNITS) - counterOf(hash, field) - (tentativeCounts[hash .. US .. field] or 0)
end

-- Nothing when the line can be had, else the reason and the units that could have been.
local function shortage(s, units, keep, poolCap, agentCap, locations)
  local free = -keep
  for i = 1, #locations do
    free = free + freeAt(levelOf(s, locations[i]))
  end
  if units > free then
    return 'out-of-stock', math.max(free, 0)
  end
  if pool ~= '' then
    local left = leftUnder(poolCap, 'pools', pool .. US .. s.sku)
    if units > left then
      return 'pool-cap', math.max(left, 0)
    end
  end
  if agent ~= '' then
    local left = leftUnder(agentCap, 'agents', agent .. US .. s.sku)
    if units > left then
      return 'agent-cap', math.max(left, 0)
    end
  end
  return nil
end

local function addPart(s, location, units)
  partCount = partCount + 1
  partSkus[partCount], partLocations[partCount], partUnits[partCount] = s, location, units
end

-- The first location that can take all of it, else split in their order. The sum was checked: it falls short only where
-- the units to keep are below zero (an allowance to oversell); the rest is owed by the first location.
local function route(s, units, locations)
  for i = 1, #locations do
    if freeAt(levelOf(s, locations[i])) >= units then
      return addPart(s, locations[i], units)
    end
  end
  local left = units
  for i = 1, #locations do
    local some = math.min(left, freeAt(levelOf(s, locations[i])))
    if some > 0 then
      addPart(s, locations[i], some)
      left = left - some
    end
  end
  if left > 0 then
    for i = 1, partCount do
      if partSkus[i] == s and partLocations[i] == locations[1] then
        partUnits[i] = partUnits[i] + left
        return
      end
    end
    addPart(s, locations[1], left)
  end
end

-- What a later line of the same request must not take again.
local function markTentative(s, units, from)
  for i = from, partCount do
    local level = levelOf(s, partLocations[i])
    level.taken = (level.taken or 0) + partUnits[i]
    tentativeLevels[#tentativeLevels + 1] = level
  end
  for hash, name in pairs({ pools = pool, agents = agent }) do
    local field = hash .. US .. name .. US .. s.sku
    tentativeCounts[field] = (tentativeCounts[field] or 0) + units
  end
end

local function forgetTentative()
  for i = #tentativeLevels, 1, -1 do
    tentativeLevels[i].taken = nil
    tentativeLevels[i] = nil
  end
  tentativeCounts = {}
end

local function splitLocations(text)
  if not string.find(text, ',', 1, true) then
    return { text }
  end
  local locations = {}
  for location in gmatch(text, '[^,]+') do
    locations[#locations + 1] = location
  end
  return locations
end

-- Adds the line's parts, or returns the denial.
local function takeLine(text, hasMore)
  local sku, unitsText, keep, poolCap, agentCap, locationsText = match(text, LINE_PATTERN)
  local locations, units = splitLocations(locationsText), tonumber(unitsText)
  local s = loadSku(sku, locations[1])
  local reason, left = shortage(s, units, tonumber(keep), poolCap, agentCap, locations)
  if reason and sweepOn() then
    reason, left = shortage(s, units, tonumber(keep), poolCap, agentCap, locations)
  end
  if reason then
    return 'denied' .. US .. reason .. US .. sku .. US .. num(left)
  end
  local from = partCount + 1
  route(s, units, locations)
  if hasMore then
    markTentative(s, units, from)
  end
  return nil
end

-- Fills the parts of the whole request, or returns the denial.
local function allocate(lines)
  partCount = 0
  if not string.find(lines, RS, 1, true) then
    return takeLine(lines, false)
  end
  local denial
  for text in gmatch(lines, '[^\30]+') do
    denial = takeLine(text, true)
    if denial then
      break
    end
  end
  forgetTentative()
  return denial
end

-- Plans the hold of the parts.
local function hold(fingerprint, ttlMs)
  local deadline = num(nowMs + ttlMs)
  local extra = deadlineExtra(ttlMs, agent ~= '' and '1' or '', pool)
  local by = agent ~= '' and agent or actor
  local lines
  for i = 1, partCount do
    local s, location, units = partSkus[i], partLocations[i], partUnits[i]
    append('h', s, location, units, 0, 0, units, '', id, settlesOn, '', by, extra)
    addSettling(s, location, settlesOn, units)
    local line = packHoldLine(s.sku, location, units)
    lines = lines and lines .. RS .. line or line
    if pool ~= '' then
      addToCounter('pools', pool .. US .. s.sku, units)
    end
    if agent ~= '' then
      addToCounter('agents', agent .. US .. s.sku, units)
    end
  end
  local seqText = num(seq)
  local record = 'H' .. US .. deadline .. US .. num(nowMs) .. US .. US .. fingerprint .. US .. agent .. US .. pool
    .. US .. settlesOn .. US .. US .. US .. '0' .. US .. seqText .. US .. US .. US .. lines
  holds[id], plannedRecords[id] = nil, record
  local n = #newHolds
  newHolds[n + 1], newHolds[n + 2] = id, record
  newDeadlines[n + 1], newDeadlines[n + 2] = deadline, id
  return 'held' .. US .. seqText .. US .. num(wallMs + ttlMs) .. US .. '0' .. US .. lines
end

local function repeated(h, fingerprint)
  -- A hold that was rebuilt from the log has no fingerprint: its id alone is believed.
  if h.fingerprint ~= fingerprint and h.fingerprint ~= '' then
    return 'fingerprint-mismatch'
  end
  local state = holdStateNow(id, h)
  if state ~= 'held' then
    return 'ended' .. US .. state
  end
  return 'held' .. US .. h.seq .. US .. num(expiresAt(h)) .. US .. '1' .. US .. h.lines
end

local function writeNewHolds()
  if #newHolds > 0 then
    write('HSET', P .. 'holds', unpack(newHolds))
    write('ZADD', P .. 'due', unpack(newDeadlines))
  end
end
