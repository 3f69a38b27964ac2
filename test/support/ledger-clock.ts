/** The offset that a test keeps in Redis, so that it can step the clock of every script at once. */
const offsetMs = `tonumber(redis.call('GET', string.sub(KEYS[1], 1, -7) .. 'test-clock') or 0)`;

/** Replacement for the include that reads the server's clock: TIME plus the offset (the clock itself cannot be set). */
export const steppedClock: Readonly<Record<string, string>> = {
  'include/server-time.lua': `local function serverTimeMs()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + ${offsetMs}
end
`,
};

/**
 * The same without TIME: a clock that stands still until a test steps it. For tests that would otherwise judge deadlines
 * by how long the machine took to come to them.
 */
export const frozenClock: Readonly<Record<string, string>> = {
  'include/server-time.lua': `local function serverTimeMs()
  return ${Date.UTC(2026, 0, 1)} + ${offsetMs}
end
`,
};
