#!lua
-- Puts one hold in the place of another: what the first held counts as there for the second, all or nothing.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] hold id to be given back  ARGV[3] the request, packed as for reserve.lua
-- Returns {'answers', seq, ms, answer}: an answer of reserve.lua, or
--   replaced-unknown: there is no such hold
--   replaced-ended US state: it has ended (released also when another change was first)
-- Invariant: either the first hold has ended and the second holds every line, or nothing has changed and the first lives
-- on; nobody else can take the units in between. A repeat finds the second hold by its id.
--- @include "include/prelude.lua"
--- @include "include/reserving.lua"
return ledgerCall(function()
  local fingerprint, ttlMs, lines
  id, fingerprint, ttlMs, actor, agent, pool, settlesOn, lines = match(ARGV[3], REQUEST_PATTERN)
  local made = loadHold(id)
  if made then
    return reply('answers', repeated(made, fingerprint))
  end
  local replaced = ARGV[2]
  local h = loadHold(replaced)
  if not h then
    return reply('answers', 'replaced-unknown')
  end
  local state = holdStateNow(replaced, h)
  if state ~= 'held' then
    return reply('answers', 'replaced-ended' .. US .. state)
  end
  for sku, location, units in holdLines(h.lines) do
    giveBack('l', replaced, h, loadSku(sku, location), location, tonumber(units), actor)
  end
  endHold(replaced, h, 'R')
  local denial = allocate(lines)
  if denial then
    -- Nothing of the plan is written: the first hold was never given back.
    refuse('answers', denial)
  end
  local answer = hold(fingerprint, tonumber(ttlMs))
  writeNewHolds()
  return reply('answers', answer)
end)
