#!lua flags=no-writes
-- show-mesh: reads small state of the mesh behind the same fence as every other call.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] what  ARGV[3..] its arguments:
--   'cursor' name | 'pending' channel, limit | 'writes' channel | 'parked' limit, id after which | 'parked-count'
--   'credits' upper limit of ms, limit
-- Returns {'shown', seq, ms, value, ...}
-- Invariant: changes nothing.
--- @include "include/prelude.lua"
local MAX_WRITES = 5000

local function flat(values)
  local result = reply('shown')
  for i = 1, #values do
    result[i + 3] = values[i]
  end
  return result
end

local function parked(limit, after)
  local rank = after ~= '' and redis.call('ZRANK', P .. 'parkedAge', after)
  local start = rank and rank + 1 or 0
  local ids = redis.call('ZRANGE', P .. 'parkedAge', start, start + limit - 1, 'WITHSCORES')
  local rows = {}
  for i = 1, #ids, 2 do
    rows[#rows + 1] = ids[i + 1]
    rows[#rows + 1] = redis.call('HGET', P .. 'parked', ids[i]) or ''
  end
  return rows
end

return ledgerRead(function()
  local what = ARGV[2]
  if what == 'cursor' then
    return flat({ redis.call('HGET', P .. 'cursors', ARGV[3]) or nil })
  elseif what == 'pending' then
    return flat(redis.call('ZRANGE', P .. 'pending:' .. ARGV[3], 0, tonumber(ARGV[4]) - 1, 'WITHSCORES'))
  elseif what == 'writes' then
    local records = redis.call('HVALS', P .. 'writes:' .. ARGV[3])
    return flat({ unpack(records, 1, math.min(#records, MAX_WRITES)) })
  elseif what == 'parked' then
    return flat(parked(tonumber(ARGV[3]), ARGV[4]))
  elseif what == 'parked-count' then
    return flat({ redis.call('HLEN', P .. 'parked') })
  end
  return flat(
    redis.call('ZRANGE', P .. 'credits', '-inf', ARGV[3], 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[4]), 'WITHSCORES')
  )
end)
