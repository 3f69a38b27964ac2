#!lua flags=allow-oom
-- notices: books what the merchant's own systems are to be told, or drops what was handed on.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] 'book' | 'drop'
--   drop: ARGV[3..] notices
--   book: ARGV[3] cursor read ('': none)  ARGV[4] cursor  ARGV[5] most notices waiting
--         ARGV[6] statuses, then for each: sku, status told  then for each notice: score, notice
-- Returns {'booked' | 'moved-on' | 'full', seq, ms}  {'dropped', seq, ms}
-- Invariant: notices, the statuses they tell and the place in the log they were made up to change together, and only
-- from the place their maker has read: whatever happened once is booked once, whoever follows the log.
--- @include "include/prelude.lua"
return ledgerCall(function()
  local waiting = P .. 'notices'
  if ARGV[2] == 'drop' then
    for i = 3, #ARGV do
      write('ZREM', waiting, ARGV[i])
    end
    return reply('dropped')
  end
  local cursor = redis.call('HGET', P .. 'cursors', 'notices') or ''
  if cursor ~= ARGV[3] then
    -- A repeat of a booking whose reply was lost finds its own place.
    return reply(cursor == ARGV[4] and 'booked' or 'moved-on')
  end
  local first = 7 + 2 * tonumber(ARGV[6])
  if #ARGV >= first and redis.call('ZCARD', waiting) >= tonumber(ARGV[5]) then
    return reply('full')
  end
  for i = 7, first - 2, 2 do
    write('HSET', P .. 'statuses', ARGV[i], ARGV[i + 1])
  end
  for i = first, #ARGV - 1, 2 do
    write('ZADD', waiting, ARGV[i], ARGV[i + 1])
  end
  if ARGV[4] ~= '' then
    write('HSET', P .. 'cursors', 'notices', ARGV[4])
  end
  return reply('booked')
end)
