-- The server's wall clock in ms. Redis 7.0 lets TIME advance inside a script: it is read once per call.
-- Tests put another text in place of this file (they cannot set the server's clock).
local function serverTimeMs()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
