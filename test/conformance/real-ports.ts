import type { Clock, ConnectorLog, RateLimiter, TokenStore } from '../../src/connectors/ports.ts';
import type { ChannelId } from '../../src/domain/ids.ts';
import { Secret } from '../../src/domain/secret.ts';
import { PublisherCommands } from '../../src/ledger/publisher-commands.ts';
import { meshKeys } from '../../src/mesh/mesh-keys.ts';
import { SharedRateLimiter } from '../../src/mesh/rate-limiter.ts';
import { RedisTokenStore } from '../../src/mesh/token-store.ts';
import { Vault } from '../../src/mesh/vault.ts';
import { ledgerParts } from '../support/ledger-parts.ts';

export interface RealPorts {
  readonly limiter: RateLimiter;
  readonly tokens: TokenStore;
  readonly clock: Clock;
  readonly log: ConnectorLog;
  renewals(): number;
  advance(ms: number): void;
  stop(): Promise<void>;
}

/** What the daemon gives a connector: limits and sealed tokens in Redis. Renewals are counted on their way through. */
export function realPorts(): RealPorts {
  const parts = ledgerParts();
  const channel = 'under-test' as ChannelId;
  const limiter = new SharedRateLimiter(parts.caller, channel, () => undefined);
  const vault = new Vault({
    redis: parts.redis,
    key: meshKeys(parts.keys).vault,
    merchant: parts.merchant,
    scripts: parts.caller,
    sealing: new Secret('m'.repeat(44)),
  });
  const ledger = new PublisherCommands(parts.caller);
  const store = new RedisTokenStore({ vault, channel, ledger, onSecret: () => undefined });
  let renewals = 0;
  let offsetMs = 0;
  return {
    limiter,
    tokens: {
      load: (name) => store.load(name),
      renew: (name, renewal) =>
        store.renew(name, async (stored) => {
          const renewed = await renewal(stored);
          // A caller that waited for another's renewal answers with what it found.
          if (renewed.accessToken !== stored?.accessToken) renewals++;
          return renewed;
        }),
    },
    clock: { nowMs: () => Date.now() + offsetMs },
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    renewals: () => renewals,
    advance: (ms) => (offsetMs += ms),
    async stop() {
      limiter.close();
      await parts.close();
    },
  };
}
