import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { StoredToken, TokenStore } from '../connectors/ports.ts';
import { StockmeshError } from '../domain/errors.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { PublisherLedger } from '../ledger/contract.ts';
import type { Vault } from './vault.ts';

const token = z.strictObject({
  accessToken: z.string(),
  refreshToken: z.string().optional(),
  issuedAtMs: z.number().optional(),
  expiresAtMs: z.number().optional(),
  refreshExpiresAtMs: z.number().optional(),
});

export interface RedisTokenStoreOptions {
  readonly vault: Pick<Vault, 'read' | 'write'>;
  readonly channel: ChannelId;
  readonly ledger: Pick<PublisherLedger, 'takeLease' | 'giveUpLease'>;
  /** Told of every token before it is used, so that it can be kept out of the log. */
  readonly onSecret: (secret: string) => void;
  /** When what renews the token ends by itself, so that a person has to act; undefined: it does not say. */
  readonly onToken?: ((name: string, endsAtMs: number | undefined) => void) | undefined;
}

/** Longer than any platform takes to answer a renewal: two renewals at once would void each other's refresh token. */
const leaseMs = 60_000;
const longestWaitMs = 30_000;
const storeAttempts = 20;

/**
 * Rotating platform tokens in the vault, shared by the daemons of the merchant. A renewal runs under a lease and its
 * result is stored before anybody gets it: a rotated refresh token that was used and not stored is lost for ever.
 */
export class RedisTokenStore implements TokenStore {
  readonly #options: RedisTokenStoreOptions;
  readonly #holder = randomUUID();
  readonly #renewing = new Map<string, Promise<unknown>>();

  constructor(options: RedisTokenStoreOptions) {
    this.#options = options;
  }

  async load(name: string): Promise<StoredToken | undefined> {
    const { vault, channel } = this.#options;
    const text = await vault.read(channel, name);
    if (text === undefined) return undefined;
    const parsed = token.safeParse(JSON.parse(text));
    if (!parsed.success) {
      const reason = 'it is no token, or of a newer version';
      throw new StockmeshError('VAULT_RECORD_UNREADABLE', { channel, field: name, reason });
    }
    this.#keepOutOfLogs(parsed.data);
    this.#options.onToken?.(name, parsed.data.refreshExpiresAtMs);
    return parsed.data;
  }

  async renew(
    name: string,
    renewal: (stored: StoredToken | undefined) => Promise<StoredToken>,
  ): Promise<StoredToken> {
    // Within the daemon one after the other: a caller that waited finds the new token as `stored`.
    const before = this.#renewing.get(name) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(() => this.#renewUnderLease(name, renewal));
    this.#renewing.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#renewing.get(name) === mine) this.#renewing.delete(name);
    }
  }

  async #renewUnderLease(
    name: string,
    renewal: (stored: StoredToken | undefined) => Promise<StoredToken>,
  ): Promise<StoredToken> {
    const { ledger, channel } = this.#options;
    const lease = `token:${channel}:${name}`;
    const leaseToken = await this.#takeLease(lease);
    try {
      const renewed = await renewal(await this.load(name));
      this.#keepOutOfLogs(renewed);
      await this.#store(name, renewed);
      this.#options.onToken?.(name, renewed.refreshExpiresAtMs);
      return renewed;
    } finally {
      // It ends by itself when this fails.
      await ledger.giveUpLease(lease, leaseToken).catch(() => undefined);
    }
  }

  async #takeLease(lease: string): Promise<number> {
    const deadlineMs = performance.now() + longestWaitMs;
    for (;;) {
      const taken = await this.#options.ledger.takeLease(lease, this.#holder, leaseMs);
      if (taken.kind === 'taken') return taken.token;
      if (performance.now() > deadlineMs) {
        throw new StockmeshError('TOKEN_LOCKED', { channel: this.#options.channel, holder: taken.holder });
      }
      await delay(Math.min(200, Math.max(20, taken.freeInMs)));
    }
  }

  async #store(name: string, renewed: StoredToken): Promise<void> {
    const { vault, channel } = this.#options;
    const text = JSON.stringify(token.parse(renewed));
    for (let attempt = 1; ; attempt++) {
      try {
        await vault.write(channel, name, text);
        return;
      } catch (error) {
        if (attempt >= storeAttempts) throw error;
        await delay(250);
      }
    }
  }

  #keepOutOfLogs({ accessToken, refreshToken }: StoredToken): void {
    this.#options.onSecret(accessToken);
    if (refreshToken !== undefined) this.#options.onSecret(refreshToken);
  }
}
