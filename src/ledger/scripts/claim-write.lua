#!lua flags=allow-oom
-- claim-write: records platform requests before they are sent and points their listings to them.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] channel  ARGV[3] lease name  ARGV[4] lease token
-- ARGV[5..] for each request: write id, record (JSON), number of rows, for each row: listing id, expected version, packed
-- open write
-- Returns {'claimed', seq, ms, for each request: '' or the listings that moved, joined by RS}  {'lease-lost', seq, ms}
-- Invariant: all rows of a request or none, each request by itself; no request is recorded under a lease that has ended or
-- under a listing state that moved; a listing points to at most 16 open writes.
--- @include "include/prelude.lua"
local MAX_OPEN_WRITES = 16

local function holdsLease()
  local record = redis.call('HGET', P .. 'leases', ARGV[3])
  if not record then
    return false
  end
  local token, _, ends = string.match(record, '^([^\31]*)\31([^\31]*)\31([^\31]*)$')
  return token == ARGV[4] and tonumber(ends) > nowMs
end

-- Listings that a request of this very call has changed: what Redis says of them is older than the plan.
local claimed = {}

-- The next version and open writes of a listing; nothing when it moved.
local function claimRow(key, id, expected, packed)
  local state = redis.call('HMGET', key, 'ver', 'w')
  local open = state[2] or ''
  local _, others = string.gsub(open, RS, RS)
  local isFull = open ~= '' and others + 1 >= MAX_OPEN_WRITES
  if claimed[id] or isFull or toNumber(state[1]) ~= tonumber(expected) then
    return nil
  end
  return { key = key, id = id, isNew = not state[1], ver = toNumber(state[1]) + 1, open = open == '' and packed or open .. RS .. packed }
end

local function claim(records, first, rowCount)
  local rows, conflicts = {}, {}
  for i = first, first + 3 * (rowCount - 1), 3 do
    local key = P .. 'listing:' .. ARGV[2] .. ':' .. ARGV[i]
    local row = claimRow(key, ARGV[i], ARGV[i + 1], ARGV[i + 2])
    rows[#rows + 1] = row
    if not row then
      conflicts[#conflicts + 1] = ARGV[i]
    end
  end
  if #conflicts > 0 then
    return table.concat(conflicts, RS)
  end
  for _, row in ipairs(rows) do
    claimed[row.id] = true
    write('HSET', row.key, 'w', row.open, 'ver', num(row.ver))
    if row.isNew then
      write('SADD', P .. 'listings:' .. ARGV[2], row.id)
    end
  end
  write('HSET', records, ARGV[first - 3], ARGV[first - 2])
  return ''
end

return ledgerCall(function()
  local records, results = P .. 'writes:' .. ARGV[2], {}
  local mayClaim = holdsLease()
  local i = 5
  while i <= #ARGV do
    local rowCount = tonumber(ARGV[i + 2])
    -- The id is a fresh UUID: finding it means that an earlier try of this very call was carried out.
    if redis.call('HEXISTS', records, ARGV[i]) == 1 then
      results[#results + 1] = ''
    elseif not mayClaim then
      return refuse('lease-lost')
    else
      results[#results + 1] = claim(records, i + 3, rowCount)
    end
    i = i + 3 + 3 * rowCount
  end
  return reply('claimed', unpack(results))
end)
