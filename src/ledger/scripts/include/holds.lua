-- Holds: held -> committed | released | expired, exactly once. A record stays after the end until retention: it is the
-- idempotency record of its own commands.
local HOLD_PATTERN = '^' .. string.rep('([^\31]*)\31', 14) .. '(.*)$'
local holds, plannedRecords = {}, {}
local sweptHolds = 0

local function parseHold(record)
  local h = {}
  h.state, h.deadline, h.createdAt, h.endedAt, h.fingerprint, h.agent, h.pool, h.settlesOn, h.channel, h.order,
    h.extensions, h.seq, h.endSeq, h.endFingerprint, h.lines = string.match(record, HOLD_PATTERN)
  h.deadline = tonumber(h.deadline)
  return h
end

-- The hold as planned so far, or nothing.
local function loadHold(id)
  local h = holds[id]
  if h == nil then
    local record = plannedRecords[id] or redis.call('HGET', P .. 'holds', id)
    h = record and parseHold(record)
    holds[id] = h
  end
  return h or nil
end

-- Reads many holds at once; `loadHold` then answers from what was read.
local function prefetchHolds(ids)
  local records = redis.call('HMGET', P .. 'holds', unpack(ids))
  for i = 1, #ids do
    if holds[ids[i]] == nil then
      holds[ids[i]] = records[i] and parseHold(records[i])
    end
  end
end

local function packHold(h)
  return h.state
    .. US .. num(h.deadline)
    .. US .. h.createdAt
    .. US .. h.endedAt
    .. US .. h.fingerprint
    .. US .. h.agent
    .. US .. h.pool
    .. US .. h.settlesOn
    .. US .. h.channel
    .. US .. h.order
    .. US .. h.extensions
    .. US .. h.seq
    .. US .. h.endSeq
    .. US .. h.endFingerprint
    .. US .. h.lines
end

local function packHoldLine(sku, location, units)
  return sku .. GS .. location .. GS .. num(units)
end

-- `extra` of the entries that set a deadline: `ttl;lag;by agent;pool`, empty fields at its end left out. The lag of the
-- logical clock behind the entry's time dates the deadline for a reader who has only the log.
local function deadlineExtra(ttlMs, byAgent, pool)
  local lag = wallMs - nowMs
  local text = num(ttlMs)
  if lag == 0 and byAgent == '' and pool == '' then
    return text
  end
  text = text .. ';' .. delta(lag)
  if byAgent == '' and pool == '' then
    return text
  end
  text = text .. ';' .. byAgent
  return pool == '' and text or text .. ';' .. pool
end

-- Iterates sku, location, units (text) of a hold's lines.
local function holdLines(lines)
  return string.gmatch(lines, '([^\29\30]*)\29([^\29\30]*)\29([^\29\30]*)')
end

-- The hold's units of one line no longer settle on its channel (or do, with positive units).
local function addSettling(s, location, settlesOn, units)
  if settlesOn ~= '' then
    local name = 's:' .. settlesOn .. US .. location
    local left = toNumber(skuField(s, name)) + units
    setSkuField(s, name, left > 0 and num(left) or '')
  end
end

-- Plans the return of held units of one line by `code` (released or expired).
local function giveBack(code, id, h, s, location, units, actor)
  append(code, s, location, units, 0, 0, -units, '', id, h.settlesOn, '', actor, '')
  addSettling(s, location, h.settlesOn, -units)
  if h.pool ~= '' then
    addToCounter('pools', h.pool .. US .. s.sku, -units)
  end
  if h.agent ~= '' then
    addToCounter('agents', h.agent .. US .. s.sku, -units)
  end
end

-- Plans the end of a hold: its record, and its move from `due` to `done`.
local function endHold(id, h, state)
  h.state = state
  h.endedAt = num(nowMs)
  h.endSeq = num(seq)
  write('HSET', P .. 'holds', id, packHold(h))
  write('ZREM', P .. 'due', id)
  write('ZADD', P .. 'done', num(nowMs), id)
end

local function expireHold(id, h)
  for sku, location, units in holdLines(h.lines) do
    giveBack('y', id, h, loadSku(sku, location), location, tonumber(units), '')
  end
  endHold(id, h, 'X')
end

local HOLD_STATES = { H = 'held', C = 'committed', R = 'released', X = 'expired' }

-- Judged by the stored deadline, whether or not a sweep has come by: a held hold past it is expired here and now.
local function holdStateNow(id, h)
  if h.state == 'H' and h.deadline <= nowMs then
    expireHold(id, h)
  end
  return HOLD_STATES[h.state]
end

-- When the hold ends, by the server's wall clock.
local function expiresAt(h)
  return wallMs + h.deadline - nowMs
end

-- Plans the expiry of at most `limit` due holds, oldest deadline first. Returns how many were due.
-- Planned removals are still in the set, hence the offset.
local function sweepDue(limit)
  local ids =
    redis.call('ZRANGE', P .. 'due', '-inf', num(nowMs), 'BYSCORE', 'LIMIT', num(sweptHolds), num(limit))
  for i = 1, #ids do
    local h = loadHold(ids[i])
    if h and h.state == 'H' then
      expireHold(ids[i], h)
    elseif not h then
      -- A deadline without a hold can only come from outside; it must not stand in the way of the others.
      write('ZREM', P .. 'due', ids[i])
    end
  end
  sweptHolds = sweptHolds + #ids
  return #ids
end
