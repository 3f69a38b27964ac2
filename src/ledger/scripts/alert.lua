#!lua flags=allow-oom
-- alert: raises and resolves alerts for all daemons of the merchant, and hands out the notices that are due.
-- KEYS[1] ledger hash
-- ARGV[1] highest sequence seen  ARGV[2] 'raise' | 'resolve' | 'claim' | 'told'
-- raise:   ARGV[3] id  ARGV[4] '1' when it only happened and does not last  ARGV[5] severity, 0..2  ARGV[6] cooldown, ms
--          ARGV[7] sinks, comma-separated ('' = none)  ARGV[8] content, JSON  ARGV[9] most alerts kept
-- resolve: ARGV[3] id  ARGV[4] sinks
-- claim:   ARGV[3] most notices  ARGV[4] how long they are the caller's, ms  ARGV[5] age at which an alert that is over is
--          forgotten, ms
-- told:    ARGV[3] id  ARGV[4] number of the notice  ARGV[5] sinks still to be told  ARGV[6] when to try them again, ms from now
-- Returns {'raised' | 'reminded' | 'quiet' | 'full', seq, ms}  {'resolved' | 'nothing', seq, ms}
--         {'claimed', seq, ms, (id, number, notice, state, opened at, times, sinks left, attempts, content)...}  {'noted', seq, ms}
-- Invariant: however many daemons see one thing, its notice is decided once per cooldown; a notice that nobody could
-- send is handed out again; a newer notice of an alert takes the place of an older one.
--- @include "include/prelude.lua"
local FIELDS = 10

local function readAlert(id)
  local row = redis.call('HGET', P .. 'alerts', id)
  if not row then
    return nil
  end
  local fields, from = {}, 1
  for _ = 1, FIELDS - 1 do
    local at = string.find(row, US, from, true)
    fields[#fields + 1] = string.sub(row, from, at - 1)
    from = at + 1
  end
  return {
    state = fields[1], opened = tonumber(fields[2]), changed = tonumber(fields[3]), times = tonumber(fields[4]),
    severity = tonumber(fields[5]), decided = tonumber(fields[6]), number = tonumber(fields[7]), notice = fields[8],
    delivery = fields[9], content = string.sub(row, from),
  }
end

local function writeAlert(id, alert)
  write('HSET', P .. 'alerts', id, table.concat({
    alert.state, num(alert.opened), num(alert.changed), num(alert.times), num(alert.severity), num(alert.decided),
    num(alert.number), alert.notice, alert.delivery, alert.content,
  }, US))
end

-- `delivery` is the number of attempts and the sinks that are not told yet.
local function decide(id, alert, notice, sinks)
  alert.number, alert.notice, alert.delivery = alert.number + 1, notice, '0:' .. sinks
  if notice ~= 'resolved' then
    alert.decided = wallMs
  end
  if sinks ~= '' then
    write('ZADD', P .. 'alertsDue', num(wallMs), id)
  end
end

local function raise()
  local id, isEvent, severity = ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])
  local alert, cooldown = readAlert(id), tonumber(ARGV[6])
  if not alert then
    if redis.call('HLEN', P .. 'alerts') >= tonumber(ARGV[9]) then
      refuse('full')
    end
    alert = { state = '', opened = wallMs, times = 0, severity = severity, decided = 0, number = 0, notice = '', delivery = '0:' }
  end
  local isNew = alert.state ~= 'open'
  local isWorse = severity > alert.severity
  if isNew then
    alert.opened = wallMs
  end
  alert.state, alert.times = isEvent and 'event' or 'open', alert.times + 1
  alert.changed, alert.severity, alert.content = wallMs, severity, ARGV[8]
  local outcome = 'quiet'
  -- What comes back within the cooldown is told when that is over, if it is still there.
  if alert.decided == 0 or isWorse or wallMs - alert.decided >= cooldown then
    outcome = (isNew or isWorse) and 'raised' or 'reminded'
    decide(id, alert, outcome, ARGV[7])
  end
  writeAlert(id, alert)
  return reply(outcome)
end

local function resolve()
  local id = ARGV[3]
  local alert = readAlert(id)
  if not alert or alert.state ~= 'open' then
    return reply('nothing')
  end
  alert.state, alert.changed = 'over', wallMs
  -- Only what was told to be there is told to be over.
  if alert.decided >= alert.opened then
    decide(id, alert, 'resolved', ARGV[4])
  end
  writeAlert(id, alert)
  return reply('resolved')
end

local function claim()
  local answer = { 'claimed' }
  local due = redis.call('ZRANGEBYSCORE', P .. 'alertsDue', '-inf', num(wallMs), 'LIMIT', 0, tonumber(ARGV[3]))
  for _, id in ipairs(due) do
    local alert = readAlert(id)
    if alert then
      local attempts, left = string.match(alert.delivery, '^(%d+):(.*)$')
      write('ZADD', P .. 'alertsDue', num(wallMs + tonumber(ARGV[4])), id)
      for _, value in ipairs({
        id, alert.number, alert.notice, alert.state, alert.opened, alert.times, left, tonumber(attempts), alert.content,
      }) do
        answer[#answer + 1] = value
      end
    else
      write('ZREM', P .. 'alertsDue', id)
    end
  end
  -- A few at a time: the set is walked round and round.
  local page = redis.call('HSCAN', P .. 'alerts', redis.call('HGET', P .. 'alertsWalk', 'at') or '0', 'COUNT', 50)
  write('HSET', P .. 'alertsWalk', 'at', page[1])
  for i = 1, #page[2], 2 do
    local id = page[2][i]
    local alert = readAlert(id)
    local isTold = not redis.call('ZSCORE', P .. 'alertsDue', id)
    if alert and isTold and alert.state ~= 'open' and wallMs - alert.changed > tonumber(ARGV[5]) then
      write('HDEL', P .. 'alerts', id)
    end
  end
  return reply(unpack(answer))
end

local function told()
  local id = ARGV[3]
  local alert = readAlert(id)
  if alert and alert.number == tonumber(ARGV[4]) then
    local attempts = tonumber(string.match(alert.delivery, '^(%d+)'))
    alert.delivery = num(attempts + 1) .. ':' .. ARGV[5]
    writeAlert(id, alert)
    if ARGV[5] == '' then
      write('ZREM', P .. 'alertsDue', id)
    else
      write('ZADD', P .. 'alertsDue', num(wallMs + tonumber(ARGV[6])), id)
    end
  end
  return reply('noted')
end

return ledgerCall(function()
  local actions = { raise = raise, resolve = resolve, claim = claim, told = told }
  return actions[ARGV[2]]()
end)
