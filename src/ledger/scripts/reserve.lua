#!lua
-- Reserves units for N independent requests (the concurrent calls of one daemon), each all-or-nothing over its lines.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] requests, then for each request:
--   hold id, fingerprint, ttl ms, actor, agent, pool, settlesOn ('': external), lines, then for each line:
--     sku, units, units to keep, pool cap ('': none), agent cap ('': none), locations, location...
-- Returns {'answers', seq, ms, answer per request}, an answer being
--   {'held', seq, expires at ms, 1 when repeated, lines (sku GS location GS units, joined by RS)}
--   {'denied', 'out-of-stock' | 'pool-cap' | 'agent-cap', sku, units that could have been had}
--   {'ended', state}  {'fingerprint-mismatch'}
-- Invariant: after a reserve the units its SKU has available over the line's locations are at least the units to keep;
-- pool and agent caps hold however many reserve at once; a hold id is held once. No allow-oom: new holds are refused
-- when the server is full, so that commits and releases keep their room.
--- @include "include/prelude.lua"
local SWEEP_ON = 100
local position = 2
local newHolds, newDeadlines = {}, {}
local tentativeLevels, tentativeCounts = {}, {}
local hasSweptOn = false

local function take()
  position = position + 1
  return ARGV[position]
end

local function readLine()
  local line = { sku = take(), units = tonumber(take()), keep = tonumber(take()), poolCap = take(), agentCap = take() }
  local count = tonumber(take())
  line.locations = {}
  for i = 1, count do
    line.locations[i] = take()
  end
  return line
end

local function readRequest()
  local request = {
    id = take(), fingerprint = take(), ttlMs = tonumber(take()), actor = take(), agent = take(), pool = take(),
    settlesOn = take(), lines = {},
  }
  local count = tonumber(take())
  for i = 1, count do
    request.lines[i] = readLine()
  end
  return request
end

-- Before stock is denied, what is due already is given back: a bounded look beyond the few of every call.
local function sweepOn()
  if hasSweptOn or sweptHolds < SWEEP_PER_CALL then
    return false
  end
  hasSweptOn = true
  return sweepDue(SWEEP_ON) > 0
end

-- What earlier lines of the same request have taken; forgotten when the request ends either way.
local function forgetTentative()
  for i = #tentativeLevels, 1, -1 do
    tentativeLevels[i].taken = nil
    tentativeLevels[i] = nil
  end
  if next(tentativeCounts) then
    tentativeCounts = {}
  end
end

local function freeAt(level)
  return level.o - level.c - level.r - (level.taken or 0)
end

local function leftUnder(cap, hash, field)
  return math.min(tonumber(cap), MAX_UNITS) - counterOf(hash, field) - (tentativeCounts[hash .. US .. field] or 0)
end

-- Nothing when the line can be had, else the reason and the units that could have been.
local function shortage(request, line, s)
  local free = -line.keep
  for i = 1, #line.locations do
    free = free + freeAt(levelOf(s, line.locations[i]))
  end
  if line.units > free then
    return 'out-of-stock', math.max(free, 0)
  end
  if line.poolCap ~= '' and request.pool ~= '' then
    local left = leftUnder(line.poolCap, 'pools', request.pool .. US .. line.sku)
    if line.units > left then
      return 'pool-cap', math.max(left, 0)
    end
  end
  if line.agentCap ~= '' and request.agent ~= '' then
    local left = leftUnder(line.agentCap, 'agents', request.agent .. US .. line.sku)
    if line.units > left then
      return 'agent-cap', math.max(left, 0)
    end
  end
  return nil
end

-- The first location that can take all of it, else split in their order. The sum was checked: it never falls short.
local function route(line, s, parts)
  for i = 1, #line.locations do
    if freeAt(levelOf(s, line.locations[i])) >= line.units then
      parts[#parts + 1] = { s = s, location = line.locations[i], units = line.units }
      return
    end
  end
  local left = line.units
  for i = 1, #line.locations do
    local units = math.min(left, freeAt(levelOf(s, line.locations[i])))
    if units > 0 then
      parts[#parts + 1] = { s = s, location = line.locations[i], units = units }
      left = left - units
    end
  end
end

-- Parts of a line that a later line of the same request must not take again.
local function markTentative(request, line, parts, from)
  for i = from, #parts do
    local level = levelOf(parts[i].s, parts[i].location)
    level.taken = (level.taken or 0) + parts[i].units
    tentativeLevels[#tentativeLevels + 1] = level
  end
  for hash, name in pairs({ pools = request.pool, agents = request.agent }) do
    local field = hash .. US .. name .. US .. line.sku
    tentativeCounts[field] = (tentativeCounts[field] or 0) + line.units
  end
end

-- Parts of the whole request, or the denial.
local function allocate(request)
  local parts = {}
  for i = 1, #request.lines do
    local line = request.lines[i]
    local s = loadSku(line.sku, line.locations[1])
    local reason, left = shortage(request, line, s)
    if reason and sweepOn() then
      reason, left = shortage(request, line, s)
    end
    if reason then
      return nil, { 'denied', reason, line.sku, left }
    end
    local from = #parts + 1
    route(line, s, parts)
    if i < #request.lines then
      markTentative(request, line, parts, from)
    end
  end
  return parts
end

local function hold(request, parts)
  local deadline = nowMs + request.ttlMs
  local extra = num(deadline) .. ';' .. request.settlesOn .. ';' .. request.pool
  local actor = request.agent ~= '' and request.agent or request.actor
  local lines = {}
  for i = 1, #parts do
    local part = parts[i]
    append('h', part.s, part.location, part.units, 0, 0, part.units, '', request.id, '', '', actor, extra)
    addSettling(part.s, part.location, request.settlesOn, part.units)
    lines[i] = packHoldLine(part.s.sku, part.location, part.units)
    if request.pool ~= '' then
      addToCounter('pools', request.pool .. US .. part.s.sku, part.units)
    end
    if request.agent ~= '' then
      addToCounter('agents', request.agent .. US .. part.s.sku, part.units)
    end
  end
  local h = {
    state = 'H', deadline = deadline, createdAt = num(nowMs), endedAt = '', fingerprint = request.fingerprint,
    agent = request.agent, pool = request.pool, settlesOn = request.settlesOn, channel = '', order = '',
    extensions = '0', seq = num(seq), endSeq = '', endFingerprint = '', lines = table.concat(lines, RS),
  }
  holds[request.id] = h
  newHolds[#newHolds + 1] = request.id
  newHolds[#newHolds + 1] = packHold(h)
  newDeadlines[#newDeadlines + 1] = num(deadline)
  newDeadlines[#newDeadlines + 1] = request.id
  return h
end

local function answer(request)
  local h = loadHold(request.id)
  local isRepeated = h ~= nil
  if h then
    if h.fingerprint ~= request.fingerprint then
      return { 'fingerprint-mismatch' }
    end
    local state = holdStateNow(request.id, h)
    if state ~= 'held' then
      return { 'ended', state }
    end
  else
    local parts, denial = allocate(request)
    forgetTentative()
    if denial then
      return denial
    end
    h = hold(request, parts)
  end
  return { 'held', tonumber(h.seq), expiresAt(h), isRepeated and 1 or 0, h.lines }
end

return ledgerCall(function()
  local requests, ids = {}, {}
  for i = 1, tonumber(ARGV[2]) do
    requests[i] = readRequest()
    ids[i] = requests[i].id
  end
  prefetchHolds(ids)
  local result = reply('answers')
  for i = 1, #requests do
    result[i + 3] = answer(requests[i])
  end
  if #newHolds > 0 then
    write('HSET', P .. 'holds', unpack(newHolds))
    write('ZADD', P .. 'due', unpack(newDeadlines))
  end
  return result
end)
