import type { Redis } from 'ioredis';
import { StockmeshError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';
import type { ScriptReply } from '../ledger/script-reply.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import {
  keyIdOf,
  open,
  type Opened,
  rewrap,
  seal,
  type VaultPlace,
  type WrappingKey,
  wrappingKey,
} from './vault-envelope.ts';

export interface VaultOptions {
  readonly redis: Redis;
  /** The hash that holds every record. */
  readonly key: string;
  readonly merchant: string;
  readonly scripts: {
    call(command: string, args: readonly (string | number)[]): Promise<ScriptReply>;
  };
  /** Seals what is stored. */
  readonly sealing: Secret;
  /** Open what they once sealed, while the master key is being replaced. */
  readonly opening?: readonly Secret[];
}

export interface VaultState {
  readonly sealingKey: string;
  readonly records: readonly { readonly name: string; readonly key: string }[];
}

export interface RotationReport {
  readonly sealingKey: string;
  readonly rewrapped: number;
  readonly already: number;
  /** Records that do not open, with the reason: they stay as they are. */
  readonly unreadable: readonly string[];
}

type FailedOpening = Exclude<Opened, { readonly kind: 'opened' }>;

/** Present from the first start on, so that a daemon with another key is noticed before it stores anything. */
const marker = { channel: '', field: 'check' };
const markerText = 'stockmesh';
const maxRecords = 10_000;
const swapAttempts = 50;

/**
 * Credentials in Redis, sealed (see vault-envelope.ts), shared by the daemons of the merchant.
 *
 * A record names its wrapping key, so records of the old and of the new master key stand side by side. Rotation takes them
 * one by one, each in a compare-and-swap: a token renewed meanwhile is never overwritten, and a rotation that was cut
 * short is finished by the next one.
 */
export class Vault {
  readonly #options: VaultOptions;
  #sealing: WrappingKey;
  #keys: readonly WrappingKey[];

  constructor(options: VaultOptions) {
    this.#options = options;
    this.#sealing = wrappingKey(options.sealing, options.merchant);
    const others = (options.opening ?? []).map((secret) => wrappingKey(secret, options.merchant));
    this.#keys = [this.#sealing, ...others];
  }

  /** At start. Throws VAULT_KEY_UNKNOWN when something is sealed under a master key that is not configured. */
  async check(): Promise<void> {
    const { redis, key } = this.#options;
    await this.#requireKnownKeys();
    await redis.hsetnx(key, nameOf(marker), seal(markerText, this.#place(marker), this.#sealing));
    // Of two daemons that start at once with different keys only one has set its marker.
    await this.#requireKnownKeys();
  }

  async #requireKnownKeys(): Promise<void> {
    const unknown = (await this.state()).records.filter(({ key: id }) => !this.#knows(id));
    const [first] = unknown;
    if (first === undefined) return;
    throw new StockmeshError('VAULT_KEY_UNKNOWN', {
      count: unknown.length,
      sealedWith: [...new Set(unknown.map(({ key: id }) => id))],
      configured: this.#keys.map(({ id }) => id),
    });
  }

  async read(channel: string, field: string): Promise<string | undefined> {
    const { redis, key } = this.#options;
    const record = await redis.hget(key, nameOf({ channel, field }));
    if (record === null) return undefined;
    const opened = open(record, this.#place({ channel, field }), this.#keys);
    if (opened.kind === 'opened') return opened.text;
    throw new StockmeshError('VAULT_RECORD_UNREADABLE', { channel, field, reason: reasonOf(opened) });
  }

  async write(channel: string, field: string, text: string): Promise<void> {
    const { redis, key } = this.#options;
    const record = seal(text, this.#place({ channel, field }), this.#sealing);
    await redis.hset(key, nameOf({ channel, field }), record);
  }

  async state(): Promise<VaultState> {
    const records = [...(await this.#records())].map(([name, record]) => ({
      name,
      key: keyIdOf(record) ?? 'unreadable',
    }));
    return { sealingKey: this.#sealing.id, records: records.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
  }

  /** From now on everything is sealed with this one; what the others sealed still opens. */
  sealWith(masterKey: Secret): void {
    const key = wrappingKey(masterKey, this.#options.merchant);
    this.#keys = [key, ...this.#keys.filter(({ id }) => id !== key.id)];
    this.#sealing = key;
  }

  /** Puts every record under the sealing key. */
  async rotate(): Promise<RotationReport> {
    let rewrapped = 0;
    let already = 0;
    const unreadable: string[] = [];
    for (const [name, record] of await this.#records()) {
      const outcome = await this.#rotateOne(name, record);
      if (outcome === 'rewrapped') rewrapped++;
      else if (outcome === 'already') already++;
      else unreadable.push(`${name}: ${outcome.reason}`);
      await failpoint('vault-rewrapped');
    }
    return { sealingKey: this.#sealing.id, rewrapped, already, unreadable };
  }

  async #rotateOne(name: string, found: string): Promise<'rewrapped' | 'already' | { reason: string }> {
    const { redis, key, scripts } = this.#options;
    let record: string | null = found;
    for (let attempt = 1; attempt <= swapAttempts; attempt++) {
      // Gone meanwhile: nothing is left to rotate.
      if (record === null || keyIdOf(record) === this.#sealing.id) return 'already';
      const result = rewrap(record, this.#place(placeOf(name)), this.#keys, this.#sealing);
      if (result.kind !== 'rewrapped') return { reason: reasonOf(result) };
      const reply = await scripts.call('vault-swap', [name, record, result.record]);
      if (reply.outcome === 'swapped') return 'rewrapped';
      record = await redis.hget(key, name);
    }
    return { reason: 'it changes all the time' };
  }

  async #records(): Promise<ReadonlyMap<string, string>> {
    const { redis, key } = this.#options;
    const count = await redis.hlen(key);
    if (count > maxRecords) throw new StockmeshError('VAULT_TOO_LARGE', { count, limit: maxRecords });
    return new Map(Object.entries(await redis.hgetall(key)));
  }

  #knows(keyId: string): boolean {
    // What has not the form of a record concerns its own channel only, which reports it when it needs it.
    return keyId === 'unreadable' || this.#keys.some(({ id }) => id === keyId);
  }

  #place({ channel, field }: { readonly channel: string; readonly field: string }): VaultPlace {
    return { merchant: this.#options.merchant, channel, field };
  }
}

/** A channel id holds no slash. */
function nameOf({ channel, field }: { readonly channel: string; readonly field: string }): string {
  return `${channel}/${field}`;
}

function placeOf(name: string): { readonly channel: string; readonly field: string } {
  const split = name.indexOf('/');
  return { channel: name.slice(0, split), field: name.slice(split + 1) };
}

function reasonOf(failed: FailedOpening): string {
  return failed.kind === 'unknown-key'
    ? `it is sealed with master key ${failed.keyId}, which is not configured`
    : 'it was changed, or copied from another place';
}
