#!lua flags=allow-oom
-- Opens the ledger for a caller: creates it, notices another life of the data (a restart, a failover, a restore),
-- begins a new epoch when nothing was lost, halts the ledger when something was. The only script run by EVAL: it is
-- what teaches a server its stamped scripts' epoch.
-- KEYS[1] ledger hash
-- ARGV[1] epoch and ARGV[2] sequence of the newest entry the caller has seen (0, 0: none)
-- ARGV[3] 'open' | 'confirm-loss' (an operator accepts what is lost)  ARGV[4] actor
-- Returns {'open', seq, ms, epoch, 1 when a new epoch began, lost from, lost to (0, 0: none), first kept sequence}
--         {'halted', seq, ms, reason, lost epoch, lost from, lost to}
-- Invariant: `P epochs` names, for every ended epoch, the sequence at which the next one forked off: what a caller
-- has seen beyond that fork is lost, also when another caller has opened the ledger before it.
--- @include "include/keys.lua"
--- @include "include/numbers.lua"
--- @include "include/server-time.lua"
local SCHEMA = '1'
local seenEpoch, seenSeq = toNumber(ARGV[1]), toNumber(ARGV[2])
local isConfirmed = ARGV[3] == 'confirm-loss'
local wall = serverTimeMs()
local runId = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local ledger = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'runId', 'halted', 'schema', 'first')
local epoch, seq = tonumber(ledger[1] or nil), toNumber(ledger[2])
local halted = ledger[4] or ''

local function haltedReply(reason, from, to)
  return { 'halted', seq, wall, reason, seenEpoch, from, to }
end

-- Two branches of one history cannot get the same epoch: it is at least the second in which it began.
local function nextEpoch()
  return math.max((epoch or 0) + 1, math.floor(wall / 1000))
end

local function beginEpoch(lostTo)
  local previous, fork = epoch or 0, seq
  epoch = nextEpoch()
  seq = seq + 1
  local extra = num(previous) .. ';' .. num(fork) .. ';' .. (lostTo > 0 and num(lostTo) or '') .. ';' .. runId
  redis.call(
    'XADD', P .. 'log', num(epoch) .. '-' .. num(seq), 's', '',
    'e', 'E' .. string.rep(US, 14) .. ARGV[4] .. US .. num(wall - epoch * 1000) .. US .. extra
  )
  redis.call('HSET', P .. 'epochs', num(previous), num(epoch) .. US .. num(fork) .. US .. num(lostTo))
  redis.call('HSET', KEYS[1], 'epoch', num(epoch), 'seq', num(seq), 'runId', runId, 'halted', '', 'schema', SCHEMA)
  redis.call('HSETNX', KEYS[1], 'first', num(seq))
end

-- from, to of what the caller has seen and this history does not hold; known: a confirmed loss.
local function lostRange()
  if seenSeq == 0 then
    return nil
  end
  if not epoch then
    return 1, seenSeq, false
  end
  if seenEpoch == epoch then
    if seenSeq > seq then
      return seq + 1, seenSeq, false
    end
    return nil
  end
  if seenEpoch > epoch then
    -- An older branch came back. Where the two parted is not written in it.
    return math.min(seq + 1, seenSeq), seenSeq, false
  end
  local fork = redis.call('HGET', P .. 'epochs', num(seenEpoch))
  if not fork then
    return 1, seenSeq, false
  end
  local _, forkSeq, lostTo = string.match(fork, '^([^\31]*)\31([^\31]*)\31([^\31]*)$')
  if seenSeq > tonumber(forkSeq) then
    return tonumber(forkSeq) + 1, seenSeq, seenSeq <= tonumber(lostTo)
  end
  return nil
end

if ledger[5] and ledger[5] ~= SCHEMA then
  return haltedReply('schema ' .. ledger[5], 0, 0)
end
local tip = redis.call('XREVRANGE', P .. 'log', '+', '-', 'COUNT', 1)[1]
if tip then
  local tipEpoch, tipSeq = string.match(tip[1], '^(%d+)-(%d+)$')
  tipEpoch, tipSeq = tonumber(tipEpoch), tonumber(tipSeq)
  if tipEpoch ~= epoch or tipSeq ~= seq then
    -- Half a restore: neither going on nor a new epoch could be right, so no confirmation helps.
    return haltedReply('log and ledger hash do not belong together', 0, 0)
  end
end

local from, to, isKnown = lostRange()
if halted ~= '' and not isConfirmed then
  return haltedReply(halted, from or 0, to or 0)
end
if from and not isKnown and not isConfirmed then
  local reason = 'entries ' .. num(from) .. ' to ' .. num(to) .. ' of epoch ' .. num(seenEpoch) .. ' are gone'
  if not epoch then
    redis.call('HSET', KEYS[1], 'epoch', num(nextEpoch()), 'seq', '0', 'now', num(wall), 'raw', num(wall))
    redis.call('HSET', KEYS[1], 'schema', SCHEMA, 'first', '1')
  end
  redis.call('HSET', KEYS[1], 'halted', reason)
  return haltedReply(reason, from, to)
end

local isNew = false
if not epoch then
  redis.call('HSET', KEYS[1], 'now', num(wall), 'raw', num(wall))
end
if not epoch or halted ~= '' or (from and not isKnown) or ledger[3] ~= runId then
  local lostTo = to
  if halted ~= '' then
    lostTo = math.max(to or 0, toNumber(string.match(halted, '^entries %d+ to (%d+) of')))
  end
  isNew = true
  beginEpoch(lostTo or 0)
end
local first = toNumber(redis.call('HGET', KEYS[1], 'first'))
return { 'open', seq, wall, epoch, isNew and 1 or 0, from or 0, to or 0, first }
