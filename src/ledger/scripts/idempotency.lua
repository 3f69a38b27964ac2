#!lua flags=allow-oom
-- The answers of requests that came with an Idempotency-Key, many at once.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] ms a request may be under way  ARGV[3] ms an answer is kept
-- ARGV[4..] one step each, fields joined by US: what, key, fingerprint of the request, nonce of the attempt, answer
--   begin: may this attempt go on?  keep: its answer  drop: it has none and may be made again
-- Returns {'steps', seq, ms, outcome per step}: go | answered US answer | in-flight | reused | kept | dropped | late
-- Invariant: of a key only one attempt is under way, and once kept its answer never changes. An attempt that was taken
-- over (its daemon was gone for too long) keeps nothing: what it did is found again by the hold id made from the key.
-- Bounded by retention: each record is a key with a time to live. allow-oom: commits and releases must go on.
--- @include "include/prelude.lua"
local RECORD_PATTERN = '^([^\31]*)\31([^\31]*)\31([^\31]*)\31(.*)$'
local STEP_PATTERN = '^([^\31]*)\31([^\31]*)\31([^\31]*)\31([^\31]*)\31(.*)$'
local inFlightMs, keepMs = ARGV[2], ARGV[3]
local planned = {}

-- state, fingerprint, nonce, answer; planned changes included
local function recordOf(name)
  local record = planned[name]
  if record == nil then
    record = redis.call('GET', name)
  end
  if not record then
    return nil
  end
  return string.match(record, RECORD_PATTERN)
end

local function put(name, state, fingerprint, nonce, answer, ttlMs)
  local record = state .. US .. fingerprint .. US .. nonce .. US .. answer
  planned[name] = record
  write('SET', name, record, 'PX', ttlMs)
end

local function begin(name, fingerprint, nonce)
  local state, print, by, answer = recordOf(name)
  if state and print ~= fingerprint then
    return 'reused'
  end
  if state == 'A' then
    return 'answered' .. US .. answer
  end
  -- The same nonce: the reply to this very step was lost.
  if state and by ~= nonce then
    return 'in-flight'
  end
  put(name, 'F', fingerprint, nonce, '', inFlightMs)
  return 'go'
end

local function finish(what, name, fingerprint, nonce, answer)
  local state, _, by = recordOf(name)
  if state ~= 'F' or by ~= nonce then
    return state == 'A' and by == nonce and 'kept' or 'late'
  end
  if what == 'keep' then
    put(name, 'A', fingerprint, nonce, answer, keepMs)
    return 'kept'
  end
  planned[name] = false
  write('DEL', name)
  return 'dropped'
end

return ledgerCall(function()
  local result = reply('steps')
  for i = 4, #ARGV do
    local what, key, fingerprint, nonce, answer = string.match(ARGV[i], STEP_PATTERN)
    local name = P .. 'idem:' .. key
    if what == 'begin' then
      result[i] = begin(name, fingerprint, nonce)
    else
      result[i] = finish(what, name, fingerprint, nonce, answer)
    end
  end
  return result
end)
