/**
 * Replacement for the include that reads the server's clock: TIME plus an offset kept in Redis, so that a test can
 * step the clock of every script at once (the server's own clock cannot be set).
 */
export const steppedClock: Readonly<Record<string, string>> = {
  'include/server-time.lua': `local function serverTimeMs()
  local time = redis.call('TIME')
  local offset = tonumber(redis.call('GET', string.sub(KEYS[1], 1, -7) .. 'test-clock') or 0)
  return time[1] * 1000 + math.floor(time[2] / 1000) + offset
end
`,
};
