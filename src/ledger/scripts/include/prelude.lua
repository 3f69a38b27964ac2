-- How a script is written on this prelude:
--
--   #!lua                                   first line; `flags=allow-oom` for what must work on a full server,
--   -- purpose, KEYS, ARGV, Returns,        `flags=no-writes` for reads (with `ledgerRead`)
--   -- Invariant
--   --- @include "include/prelude.lua"      each file is put in once, in place; names are local to the script
--   return ledgerCall(function()
--     local again = findOperation(ARGV[2], ARGV[3])
--     if again then return again end
--     local s = loadSku(ARGV[4], ARGV[5])
--     append('A', s, ARGV[5], units, units, 0, 0, '', reference, '', ARGV[2], actor, reason)
--     return finishOperation(ARGV[2], ARGV[3], 'adjusted')
--   end)
--
-- The body only plans: append, setSkuField, addToCounter, write, endHold. All reads go through loadSku, levelOf,
-- skuField, counterOf, loadHold (they see what is planned) or straight to Redis for keys the call does not change
-- before. refuse(outcome, ...) ends the call with nothing written; so does any error. Then the plan is written.
-- KEYS[1] is the ledger hash, ARGV[1] the highest sequence the caller has seen; own arguments start at ARGV[2].
-- A body answers reply(outcome, ...): text and whole numbers. nowMs is logical time, wallMs the entry's time.
--- @include "include/plan.lua"
--- @include "include/operations.lua"
--- @include "include/holds.lua"
local SWEEP_PER_CALL = 8

local function finish(result)
  result[2], result[3] = seq, wallMs or 0
  return result
end

-- A refusal leaves the sequence as it was before the plan.
local function guarded(body)
  local before = seq
  local ok, result = pcall(body)
  if ok then
    return result, true
  end
  if type(result) == 'table' and result.refused then
    seq = before
    return result.refused, false
  end
  error(result, 0)
end

local function ledgerCall(body)
  local refusal = openSession()
  if refusal then
    return refusal
  end
  local result, isPlanned = guarded(function()
    sweepDue(SWEEP_PER_CALL)
    return body()
  end)
  if isPlanned then
    flush()
  end
  return finish(result)
end

-- For scripts that change nothing: no sweep, no write, the clock is read but not stored.
local function ledgerRead(body)
  local refusal = openSession()
  if refusal then
    return refusal
  end
  return finish((guarded(body)))
end
