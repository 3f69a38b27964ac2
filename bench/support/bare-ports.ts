import { pino } from 'pino';
import type { RateLimiter, StoredToken, TokenStore } from '../../src/connectors/ports.ts';
import type { createConnector } from '../../src/daemon/connectors.ts';

const unlimited: RateLimiter = { acquire: () => Promise.resolve(), learn: () => undefined };

function memoryTokens(): TokenStore {
  const tokens = new Map<string, Promise<StoredToken>>();
  return {
    load: async (name) => tokens.get(name),
    async renew(name, renewal) {
      const next = renewal(await tokens.get(name));
      tokens.set(name, next);
      return next;
    },
  };
}

/** What a connector needs, and nothing that is shared, durable or limited: for what the daemon is measured against. */
export function barePorts(): Parameters<typeof createConnector>[1] {
  return {
    limiter: unlimited,
    tokens: memoryTokens(),
    clock: { nowMs: () => Date.now() },
    log: pino({ level: 'silent' }),
  };
}
