-- Key names (docs/ledger.md). Everything is derived from KEYS[1], the ledger hash, so that all keys share its hash tag.
-- The separators cannot occur in an identifier: records need no escaping.
local US, RS, GS = '\31', '\30', '\29'
local P = string.sub(KEYS[1], 1, -7)

local function orderKey(channel, orderId)
  return P .. 'order:' .. channel .. ':' .. orderId
end

-- Member of `P orders`; with US and a SKU after it, of `P credits`.
local function orderMember(channel, orderId)
  return channel .. ':' .. orderId
end
