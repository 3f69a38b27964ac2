#!lua flags=allow-oom
-- move-cursor: moves a cursor forward, or exchanges one whose order only its platform knows.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] name  ARGV[3] to  ARGV[4] 'position' | 'number' | 'opaque'
-- ARGV[5] '1' when an expected value is given  ARGV[6] '1' when nothing is expected to be there  ARGV[7] expected value
-- Returns {'moved' | 'kept', seq, ms}
-- Invariant: a position or number never moves back; an opaque cursor moves only from the value its mover has read.
--- @include "include/prelude.lua"
--- @include "include/cursor.lua"
return ledgerCall(function()
  local name, to = ARGV[2], ARGV[3]
  if ARGV[5] == '1' then
    local current = redis.call('HGET', P .. 'cursors', name)
    local isExpected = current == ARGV[7]
    if ARGV[6] == '1' then
      isExpected = not current
    end
    -- A repeat of a move whose reply was lost finds its own value.
    if not isExpected and current ~= to then
      return reply('kept')
    end
  end
  if ARGV[4] == 'opaque' then
    write('HSET', P .. 'cursors', name, to)
    return reply('moved')
  end
  return reply(moveForward(name, to, ARGV[4]) and 'moved' or 'kept')
end)
