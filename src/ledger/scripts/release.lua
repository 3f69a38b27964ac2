#!lua flags=allow-oom
-- Gives a hold back.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] hold id  ARGV[3] actor
-- Returns {'released', seq, ms, seq of the release, 1 when repeated}  {'ended', .., .., state}  {'unknown-hold'}
-- Invariant: a hold ends exactly once.
--- @include "include/prelude.lua"
return ledgerCall(function()
  local id = ARGV[2]
  local h = loadHold(id)
  if not h then
    return reply('unknown-hold')
  end
  local state = holdStateNow(id, h)
  if state == 'released' then
    return reply('released', tonumber(h.endSeq), 1)
  end
  if state ~= 'held' then
    return reply('ended', state)
  end
  for sku, location, units in holdLines(h.lines) do
    giveBack('l', id, h, loadSku(sku, location), location, tonumber(units), ARGV[3])
  end
  endHold(id, h, 'R')
  return reply('released', seq, 0)
end)
