-- The logical clock: `now` grows by the wall clock's step, at least 0 and at most MAX_CLOCK_STEP_MS. A jump forward
-- ends no hold early by more than that, a jump back stops time for one call only, an idle ledger lets holds live on.
--- @include "include/server-time.lua"
local MAX_CLOCK_STEP_MS = 5000
-- A call that changes nothing else stores the clock only when it has moved by this much (or back).
local CLOCK_STORE_MS = 1000

local function advanceClock(now, raw, wall)
  local step = wall - raw
  if step < 0 then
    step = 0
  elseif step > MAX_CLOCK_STEP_MS then
    step = MAX_CLOCK_STEP_MS
  end
  return now + step
end
