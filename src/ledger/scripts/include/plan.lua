-- The plan: what this call will write. Nothing reaches Redis before flush(), so a call that is refused at any point
-- has changed nothing, and reads made after a planned change go through the same tables and see it.
--- @include "include/session.lua"
local skus, dirtySkus = {}, {}
local entrySkus, entryTexts, entryCount, firstSeq = {}, {}, 0, 0
local counters, dirtyCounters = {}, {}
local commands = {}

-- Ends the call with nothing written; the reply is the refusal.
local function refuse(outcome, ...)
  error({ refused = reply(outcome, ...) })
end

local function newLevel(s, location, onHand, committed, reserved)
  local level = { o = toNumber(onHand), c = toNumber(committed), r = toNumber(reserved), location = location }
  s.levels[location] = level
  s.levelCount = s.levelCount + 1
  s.levelList[s.levelCount] = level
  return level
end

-- A SKU of this call, with its version; `location` is read in the same command.
local function loadSku(sku, location)
  local s = skus[sku]
  if s then
    return s
  end
  s = { sku = sku, key = P .. 'sku:' .. sku, levels = {}, levelList = {}, levelCount = 0 }
  if location then
    local row =
      redis.call('HMGET', s.key, 'v', 'o:' .. location, 'c:' .. location, 'r:' .. location)
    s.version = toNumber(row[1])
    s.isNew = s.version == 0
    newLevel(s, location, row[2], row[3], row[4])
  else
    s.version = toNumber(redis.call('HGET', s.key, 'v'))
    s.isNew = s.version == 0
  end
  skus[sku] = s
  return s
end

-- {o = onHand, c = committed, r = reserved} of the SKU at the location, planned changes included. Read only:
-- append() changes it.
local function levelOf(s, location)
  local level = s.levels[location]
  if level then
    return level
  end
  local row = redis.call('HMGET', s.key, 'o:' .. location, 'c:' .. location, 'r:' .. location)
  return newLevel(s, location, row[1], row[2], row[3])
end

local function markDirty(s)
  if not s.dirty then
    s.dirty = true
    dirtySkus[#dirtySkus + 1] = s
  end
end

-- Another field of the SKU's hash (g:, h:, hx:, a:, s:) as text, '' when missing; planned changes included.
local function skuField(s, name)
  local fields = s.fields
  if not fields then
    fields = {}
    s.fields = fields
  end
  local value = fields[name]
  if value == nil then
    value = redis.call('HGET', s.key, name) or ''
    fields[name] = value
  end
  return value
end

-- '' deletes the field.
local function setSkuField(s, name, value)
  skuField(s, name)
  s.fields[name] = value
  if not s.changedFields then
    s.changedFields = {}
  end
  s.changedFields[name] = true
  markDirty(s)
end

local function outOfRange(n)
  return n > MAX_UNITS or n < -MAX_UNITS
end

-- Plans one log entry, the change of the level behind it, the SKU's version and the sequence. Returns the sequence.
-- Refuses the whole call when a figure would leave the exact range.
local function append(
  code, s, location, units, dOnHand, dCommitted, dReserved, channel, reference, line, operation, actor, extra
)
  local level = levelOf(s, location)
  local onHand, committed, reserved = level.o + dOnHand, level.c + dCommitted, level.r + dReserved
  if outOfRange(onHand) or outOfRange(committed) or outOfRange(reserved) or outOfRange(units) then
    refuse('overflow', s.sku, location)
  end
  if dOnHand ~= 0 then
    level.o, level.oChanged = onHand, true
  end
  if dCommitted ~= 0 then
    level.c, level.cChanged = committed, true
  end
  if dReserved ~= 0 then
    level.r, level.rChanged = reserved, true
  end
  s.version = s.version + 1
  markDirty(s)
  if entryCount == 0 then
    firstSeq = seq + 1
  end
  seq = seq + 1
  entryCount = entryCount + 1
  entrySkus[entryCount] = s.sku
  -- Most entries of a call leave onHand and committed of their level as they are: their text is made once.
  if dOnHand ~= 0 or dCommitted ~= 0 or not level.text then
    level.text = num(onHand) .. US .. num(committed) .. US
  end
  entryTexts[entryCount] = code
    .. US .. location
    .. US .. num(units)
    .. US .. delta(dOnHand)
    .. US .. delta(dCommitted)
    .. US .. delta(dReserved)
    .. US .. level.text
    .. num(reserved)
    .. US .. num(s.version)
    .. US .. channel
    .. US .. reference
    .. US .. line
    .. US .. operation
    .. US .. actor
    .. US .. wallText
    .. US .. extra
  return seq
end

-- Units counted in a hash of the merchant ('pools', 'agents'), planned changes included. A field at 0 is deleted.
local function counterOf(hash, field)
  local fields = counters[hash]
  if not fields then
    fields = {}
    counters[hash] = fields
  end
  local value = fields[field]
  if not value then
    value = toNumber(redis.call('HGET', P .. hash, field))
    fields[field] = value
  end
  return value
end

local function addToCounter(hash, field, units)
  local value = counterOf(hash, field) + units
  if outOfRange(value) then
    refuse('overflow', field, hash)
  end
  -- Never below 0: the counter of a pool that was emptied by hand must not grant more than its cap.
  counters[hash][field] = value > 0 and value or 0
  local dirty = dirtyCounters[hash]
  if not dirty then
    dirty = {}
    dirtyCounters[hash] = dirty
  end
  dirty[field] = true
end

-- Plans any other write; runs after entries and levels, in the order planned. It must not be able to fail.
local function write(...)
  commands[#commands + 1] = { ... }
end

local function flushSku(s)
  local args, n = { 'HSET', s.key, 'v', num(s.version) }, 4
  for i = 1, s.levelCount do
    local level = s.levelList[i]
    if level.oChanged then
      args[n + 1], args[n + 2] = 'o:' .. level.location, num(level.o)
      n = n + 2
    end
    if level.cChanged then
      args[n + 1], args[n + 2] = 'c:' .. level.location, num(level.c)
      n = n + 2
    end
    if level.rChanged then
      args[n + 1], args[n + 2] = 'r:' .. level.location, num(level.r)
      n = n + 2
    end
  end
  if s.changedFields then
    for name in pairs(s.changedFields) do
      local value = s.fields[name]
      if value == '' then
        redis.call('HDEL', s.key, name)
      else
        args[n + 1], args[n + 2] = name, value
        n = n + 2
      end
    end
  end
  redis.call(unpack(args))
  if s.isNew and s.version > 0 then
    redis.call('SADD', P .. 'skus', s.sku)
  end
end

-- Writes the plan. Entries first: an XADD is the only write that foreign content could make fail (its id), and then
-- nothing else has been written yet.
local function flush()
  local log = P .. 'log'
  for i = 1, entryCount do
    redis.call('XADD', log, EPOCH_TEXT .. '-' .. num(firstSeq + i - 1), 's', entrySkus[i], 'e', entryTexts[i])
  end
  for i = 1, #dirtySkus do
    flushSku(dirtySkus[i])
  end
  for hash, fields in pairs(dirtyCounters) do
    for field in pairs(fields) do
      local value = counters[hash][field]
      if value == 0 then
        redis.call('HDEL', P .. hash, field)
      else
        redis.call('HSET', P .. hash, field, num(value))
      end
    end
  end
  for i = 1, #commands do
    redis.call(unpack(commands[i]))
  end
  if entryCount > 0 then
    redis.call('HSET', KEYS[1], 'seq', num(seq), 'now', num(nowMs), 'raw', num(wallMs))
  elseif #commands > 0 or wallMs < storedRawMs or wallMs - storedRawMs >= CLOCK_STORE_MS then
    redis.call('HSET', KEYS[1], 'now', num(nowMs), 'raw', num(wallMs))
  end
end
