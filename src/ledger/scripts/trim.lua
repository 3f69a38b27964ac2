#!lua flags=allow-oom
-- Drops archived entries from the log, and the log cursors that now point before its beginning.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] epoch and ARGV[3] sequence of the first entry to keep
-- Returns {'trimmed', seq, ms, entries dropped, first sequence kept, channel whose cursor was dropped, ...}
-- Invariant: the newest entry is never dropped; `first` never moves back; a channel whose cursor has missed entries has
-- no cursor and is marked `full`. Who calls it has archived what goes.
--- @include "include/prelude.lua"
--- @include "include/cursor.lua"
local MOST_DROPPED = 100000

-- A dead channel must not pin the log: when it comes back, every listing of it is looked at instead.
local function dropCursors(firstId, firstSeq)
  local dropped = {}
  local cursors = redis.call('HGETALL', P .. 'cursors')
  for i = 1, #cursors, 2 do
    local channel = string.match(cursors[i], '^log:(.+)$')
    local at = channel and tonumber(string.match(cursors[i + 1], '%-(%d+)$'))
    if at and at + 1 < firstSeq and isBehind(cursors[i + 1], firstId, 'position') then
      dropped[#dropped + 1] = channel
      write('HDEL', P .. 'cursors', cursors[i])
      local due = redis.call('HGET', P .. 'cursors', 'full:' .. channel)
      if not due or due == '' then
        write('HSET', P .. 'cursors', 'full:' .. channel, firstId)
      end
    end
  end
  return dropped
end

return ledgerCall(function()
  local log = P .. 'log'
  local minId = num(math.min(tonumber(ARGV[2]), EPOCH)) .. '-' .. num(math.min(tonumber(ARGV[3]), seq - entryCount))
  -- The one write that no plan holds back: what it drops is archived whatever becomes of this call.
  local dropped =
    redis.call('XTRIM', log, 'MINID', '~', minId, 'LIMIT', MOST_DROPPED)
  local firstId = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1][1]
  local firstSeq = tonumber(string.match(firstId, '%-(%d+)$'))
  write('HSET', KEYS[1], 'first', num(firstSeq))
  return reply('trimmed', dropped, firstSeq, unpack(dropCursors(firstId, firstSeq)))
end)
