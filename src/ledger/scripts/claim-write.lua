#!lua flags=allow-oom
-- claim-write: records a platform request before it is sent and points its listings to it.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] channel  ARGV[3] lease name  ARGV[4] lease token  ARGV[5] write id
-- ARGV[6] record, JSON  ARGV[7..] for each row: listing id, expected version, packed open write
-- Returns {'claimed', seq, ms}  {'conflict', seq, ms, listing id, ...}  {'lease-lost', seq, ms}
-- Invariant: all rows or none; no request is recorded under a lease that has ended or under a listing state that moved;
-- a listing points to at most 16 open writes.
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

return ledgerCall(function()
  local records = P .. 'writes:' .. ARGV[2]
  -- The id is a fresh UUID: finding it means that an earlier try of this very call was carried out.
  if redis.call('HEXISTS', records, ARGV[5]) == 1 then
    return reply('claimed')
  end
  if not holdsLease() then
    return reply('lease-lost')
  end
  local conflicts = {}
  for i = 7, #ARGV, 3 do
    local key = P .. 'listing:' .. ARGV[2] .. ':' .. ARGV[i]
    local state = redis.call('HMGET', key, 'ver', 'w')
    local open = state[2] or ''
    local _, others = string.gsub(open, RS, RS)
    if toNumber(state[1]) ~= tonumber(ARGV[i + 1]) or (open ~= '' and others + 1 >= MAX_OPEN_WRITES) then
      conflicts[#conflicts + 1] = ARGV[i]
    else
      open = open == '' and ARGV[i + 2] or open .. RS .. ARGV[i + 2]
      write('HSET', key, 'w', open, 'ver', num(toNumber(state[1]) + 1))
      if not state[1] then
        write('SADD', P .. 'listings:' .. ARGV[2], ARGV[i])
      end
    end
  end
  if #conflicts > 0 then
    return refuse('conflict', unpack(conflicts))
  end
  write('HSET', records, ARGV[5], ARGV[6])
  return reply('claimed')
end)
