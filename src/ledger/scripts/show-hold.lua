#!lua flags=no-writes
-- One hold as it is now.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] hold id
-- Returns {'hold', seq, ms, state, ms until its deadline, lines, agent, pool, settlesOn, channel, order id}
--         {'unknown-hold'}
-- Invariant: changes nothing; a hold past its deadline is shown expired, whether or not a sweep has come by.
--- @include "include/prelude.lua"
return ledgerRead(function()
  local h = loadHold(ARGV[2])
  if not h then
    return reply('unknown-hold')
  end
  local state = HOLD_STATES[h.state]
  if h.state == 'H' and h.deadline <= nowMs then
    state = 'expired'
  end
  return reply('hold', state, h.deadline - nowMs, h.lines, h.agent, h.pool, h.settlesOn, h.channel, h.order)
end)
