#!lua flags=allow-oom
-- Turns a hold, or a part of it, into a commitment of the order it became; the rest is released.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] hold id  ARGV[3] actor  ARGV[4] channel  ARGV[5] order id
-- ARGV[6] fingerprint of what the commit names  ARGV[7] parts ('': all of it), then for each part: sku, units to keep
-- Returns {'committed', seq, ms, seq of the commit, 1 when repeated}  {'expired'}  {'ended', .., .., state}
--         {'unknown-hold'}  {'part-exceeds-hold', .., .., sku}  {'fingerprint-mismatch'}
-- Invariant: decided by the stored deadline; reserved falls by the whole hold; committed rises by the kept units that
-- no ordered unit of the named order stands for yet (include/credits.lua), in whichever order the two arrive.
--- @include "include/prelude.lua"
--- @include "include/credits.lua"
local id, actor, channel, orderId = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local credits, ordered = {}, nil

-- Units to keep per SKU, or the SKU whose part is more than was held.
local function keptUnits(h)
  local held, kept = {}, {}
  for sku, _, units in holdLines(h.lines) do
    held[sku] = (held[sku] or 0) + tonumber(units)
  end
  if ARGV[7] == '' then
    return held
  end
  for i = 8, 6 + 2 * tonumber(ARGV[7]), 2 do
    kept[ARGV[i]] = (kept[ARGV[i]] or 0) + tonumber(ARGV[i + 1])
    if kept[ARGV[i]] > (held[ARGV[i]] or 0) then
      return nil, ARGV[i]
    end
  end
  return kept
end

local function creditOf(sku)
  if not ordered then
    ordered = orderedUnits(orderKey(channel, orderId))
  end
  local credit = credits[sku]
  if not credit then
    credit = readCredit(orderKey(channel, orderId), sku)
    credits[sku] = credit
  end
  return credit
end

local function commitLine(h, s, location, units)
  local credit = creditOf(s.sku)
  local netted = math.min(units, math.max(0, (ordered[s.sku] or 0) - credit.netted))
  credit.netted = credit.netted + netted
  if units > netted then
    addOpenCredit(credit, location, units - netted)
  end
  local extra = channel .. ';' .. orderId .. ';' .. num(netted)
  append('c', s, location, units, 0, units - netted, -units, '', id, h.settlesOn, '', actor, extra)
  addSettling(s, location, h.settlesOn, -units)
  -- The pool is for live holds; the agent's cap counts what it bought until the hold's record is purged.
  if h.pool ~= '' then
    addToCounter('pools', h.pool .. US .. s.sku, -units)
  end
end

return ledgerCall(function()
  local h = loadHold(id)
  if not h then
    return reply('unknown-hold')
  end
  local state = holdStateNow(id, h)
  if state == 'committed' then
    if h.endFingerprint ~= ARGV[6] and h.endFingerprint ~= '' then
      return reply('fingerprint-mismatch')
    end
    return reply('committed', tonumber(h.endSeq), 1)
  end
  if state == 'expired' then
    return reply('expired')
  end
  if state ~= 'held' then
    return reply('ended', state)
  end
  local kept, exceeding = keptUnits(h)
  if not kept then
    return reply('part-exceeds-hold', exceeding)
  end
  local keptLines = {}
  for sku, location, units in holdLines(h.lines) do
    local s = loadSku(sku, location)
    local keep = math.min(tonumber(units), kept[sku] or 0)
    if keep > 0 then
      kept[sku] = kept[sku] - keep
      commitLine(h, s, location, keep)
      keptLines[#keptLines + 1] = packHoldLine(sku, location, keep)
    end
    if keep < tonumber(units) then
      giveBack('l', id, h, s, location, tonumber(units) - keep, actor)
    end
  end
  for _, credit in pairs(credits) do
    writeCredit(credit, channel, orderId)
  end
  write('ZADD', P .. 'orders', num(wallMs), orderMember(channel, orderId))
  h.channel, h.order, h.endFingerprint = channel, orderId, ARGV[6]
  h.lines = table.concat(keptLines, RS)
  endHold(id, h, 'C')
  return reply('committed', seq, 0)
end)
