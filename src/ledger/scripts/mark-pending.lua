#!lua flags=allow-oom
-- mark-pending: marks listings as not yet sent and moves the channel's log cursor, in one call.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] channel  ARGV[3] log position reached, `epoch-seq`
-- ARGV[4..] listing id, sequence of its change (at most 1,000 pairs)
-- Returns {'marked', seq, ms}
-- Invariant: the cursor never passes an entry whose listings are not marked, and never moves back; a mark only grows.
--- @include "include/prelude.lua"
--- @include "include/cursor.lua"
return ledgerCall(function()
  if #ARGV > 3 then
    local marks = { 'ZADD', P .. 'pending:' .. ARGV[2], 'GT' }
    for i = 4, #ARGV, 2 do
      marks[i] = ARGV[i + 1]
      marks[i + 1] = ARGV[i]
    end
    write(unpack(marks))
  end
  moveForward('log:' .. ARGV[2], ARGV[3], 'position')
  return reply('marked')
end)
