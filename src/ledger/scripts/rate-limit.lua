#!lua
-- rate-limit: a token bucket of one (channel, operation), shared by all daemons of the merchant.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] `take` or `learn`  ARGV[3] channel  ARGV[4] operation
-- take:  ARGV[5] cost  ARGV[6] longest wait, ms  ARGV[7] capacity  ARGV[8] tokens per second, as published: they describe
--        a bucket that nobody has described yet, which then begins full (absent: not published)
-- learn: ARGV[5] capacity  ARGV[6] tokens available  ARGV[7] tokens per second  ARGV[8] pause, ms ('' each: not said)
-- Returns {'granted', seq, ms, ms to wait before the request, tokens per second ('': not known)}
--         {'refused', seq, ms, ms it would have had to wait}
--         {'learned', seq, ms}
-- Invariant: what is granted is taken at once, into debt where needed, so that callers queue without asking again. A
-- bucket nobody has described yet grants everything: the platform's first answer describes it. A call that is repeated
-- after a lost reply takes twice: it costs a wait, never a request too many.
--- @include "include/prelude.lua"
local IDLE_MS = 86400000

local function readBucket(key)
  local row = redis.call('HMGET', key, 'tokens', 'at', 'capacity', 'refill', 'paused')
  local bucket = { capacity = tonumber(row[3]), refill = tonumber(row[4]), paused = tonumber(row[5]) or 0 }
  local tokens = tonumber(row[1]) or bucket.capacity or 0
  local passed = math.max(0, wallMs - (tonumber(row[2]) or wallMs))
  if bucket.refill then
    tokens = tokens + passed * bucket.refill / 1000
  end
  bucket.tokens = math.min(tokens, bucket.capacity or tokens)
  return bucket
end

local function writeBucket(key, bucket)
  local row = { 'tokens', string.format('%.3f', bucket.tokens), 'at', num(wallMs), 'paused', num(bucket.paused) }
  for _, name in ipairs({ 'capacity', 'refill' }) do
    if bucket[name] then
      row[#row + 1] = name
      -- Amazon's slowest rate is 0.0056 per second.
      row[#row + 1] = string.format('%.6f', bucket[name])
    end
  end
  write('HSET', key, unpack(row))
  write('PEXPIRE', key, num(IDLE_MS))
end

local function take(key, bucket)
  local cost, longest = tonumber(ARGV[5]), tonumber(ARGV[6])
  if not bucket.capacity and ARGV[7] then
    bucket.capacity, bucket.refill = tonumber(ARGV[7]), bucket.refill or tonumber(ARGV[8])
    bucket.tokens = bucket.capacity
  end
  local wait = math.max(0, bucket.paused - wallMs)
  if bucket.capacity and bucket.refill and bucket.refill > 0 then
    -- More than a full bucket is never there: such a request goes when the bucket is full.
    local needed = math.min(cost, bucket.capacity)
    wait = math.max(wait, (needed - bucket.tokens) * 1000 / bucket.refill)
  end
  wait = math.ceil(wait)
  if wait > longest then
    refuse('refused', wait)
  end
  if bucket.capacity then
    bucket.tokens = bucket.tokens - cost
    writeBucket(key, bucket)
  end
  return reply('granted', wait, bucket.refill and string.format('%.6f', bucket.refill) or '')
end

local function learn(key, bucket)
  local isNew = not bucket.capacity
  bucket.capacity = tonumber(ARGV[5]) or bucket.capacity
  bucket.refill = tonumber(ARGV[7]) or bucket.refill
  local available, pause = tonumber(ARGV[6]), tonumber(ARGV[8])
  if available then
    -- Requests on their way are taken here and not yet there: a higher figure is believed by halves.
    if isNew or available < bucket.tokens then
      bucket.tokens = available
    else
      bucket.tokens = bucket.tokens + (available - bucket.tokens) / 2
    end
  end
  if bucket.capacity then
    bucket.tokens = math.min(bucket.tokens, bucket.capacity)
  end
  if pause then
    bucket.paused = math.max(bucket.paused, wallMs + pause)
  end
  writeBucket(key, bucket)
  return reply('learned')
end

return ledgerCall(function()
  local key = P .. 'limit:' .. ARGV[3] .. ':' .. ARGV[4]
  local bucket = readBucket(key)
  if ARGV[2] == 'take' then
    return take(key, bucket)
  end
  return learn(key, bucket)
end)
