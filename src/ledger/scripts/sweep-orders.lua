#!lua flags=allow-oom
-- sweep-orders: retention of applied order state; run by a timer in every daemon (it needs no leader).
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] drop what did not change for, ms  ARGV[3] compact what did not change for, ms
-- ARGV[4] most orders to look at for each (<= 100)
-- Returns {'swept', seq, ms, dropped, compacted}
-- Invariant: an order with open units or an open credit is never dropped; nothing that a late cancellation, refund or
-- return needs is lost by compaction. Both touch only orders that did not change for their time.
--- @include "include/prelude.lua"
--- @include "include/order-record.lua"
--- @include "include/credits.lua"
-- Planned by this call: writing a dropped order again would bring it back without its place in the index.
local isDropped = {}

local function oldOrders(from, before, limit)
  return redis.call('ZRANGE', P .. 'orders', from, num(before), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
end

local function isOpen(key)
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local kind = string.sub(fields[i], 1, 2)
    if kind == 'l:' and committedOf(parseLine(fields[i + 1]).counters) > 0 then
      return true
    elseif kind == 'k:' and readCredit(key, string.sub(fields[i], 3)).openUnits > 0 then
      return true
    end
  end
  return false
end

local function drop(limit)
  local orders = oldOrders('-inf', wallMs - tonumber(ARGV[2]), limit)
  local dropped = 0
  for i = 1, #orders, 2 do
    local key = P .. 'order:' .. orders[i]
    if isOpen(key) then
      -- Looked at again in another retention time; it must not stand in the way of the others.
      write('ZADD', P .. 'orders', num(wallMs), orders[i])
    else
      write('DEL', key)
      write('ZREM', P .. 'orders', orders[i])
      isDropped[key] = true
      dropped = dropped + 1
    end
  end
  return dropped
end

local function compact(limit)
  local from = redis.call('HGET', KEYS[1], 'compacted')
  local orders = oldOrders(from and '(' .. from or '-inf', wallMs - tonumber(ARGV[3]), limit)
  local compacted = 0
  for i = 1, #orders, 2 do
    local key = P .. 'order:' .. orders[i]
    local fields = isDropped[key] and {} or redis.call('HGETALL', key)
    local args = { 'HSET', key }
    for j = 1, #fields, 2 do
      if string.sub(fields[j], 1, 2) == 'l:' then
        local line = parseLine(fields[j + 1])
        local record = packLine(line, true)
        if committedOf(line.counters) == 0 and record ~= fields[j + 1] and #args < 4000 then
          args[#args + 1] = fields[j]
          args[#args + 1] = record
        end
      end
    end
    if #args > 2 then
      write(unpack(args))
      compacted = compacted + 1
    end
  end
  if #orders > 0 then
    write('HSET', KEYS[1], 'compacted', orders[#orders])
  end
  return compacted
end

return ledgerCall(function()
  local limit = math.min(tonumber(ARGV[4]), 100)
  return reply('swept', drop(limit), compact(limit))
end)
