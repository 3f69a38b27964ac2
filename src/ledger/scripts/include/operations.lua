-- Idempotency of commands that carry an operation id: `P ops` <id> -> fingerprint US seq US reply fields joined by RS.
-- The reply of such a command is: outcome, seq, ms, sequence of its last entry, 1 when repeated, then its fields (text).

-- Nothing when the operation is new, else the reply to give: the first result, or fingerprint-mismatch.
local function findOperation(id, fingerprint)
  local record = redis.call('HGET', P .. 'ops', id)
  if not record then
    return nil
  end
  local print, firstSeq, rest = string.match(record, '^([^\31]*)\31([^\31]*)\31(.*)$')
  -- A record that was rebuilt from the log has no fingerprint: its id alone is believed.
  if print ~= fingerprint and print ~= '' then
    return reply('fingerprint-mismatch')
  end
  local fields = {}
  for field in string.gmatch(rest .. RS, '([^\30]*)\30') do
    fields[#fields + 1] = field
  end
  return reply(fields[1], tonumber(firstSeq), 1, unpack(fields, 2))
end

-- The reply of an operation that was carried out now, remembered for its repeats. Fields: text or whole numbers.
local function finishOperation(id, fingerprint, outcome, ...)
  local fields = { outcome, ... }
  for i = 1, #fields do
    if type(fields[i]) == 'number' then
      fields[i] = num(fields[i])
    end
  end
  write('HSET', P .. 'ops', id, fingerprint .. US .. num(seq) .. US .. table.concat(fields, RS))
  write('ZADD', P .. 'opAge', num(wallMs), id)
  return reply(outcome, seq, 0, unpack(fields, 2))
end
