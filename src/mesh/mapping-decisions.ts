import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { ChannelId, Sku } from '../domain/ids.ts';

const record = z.object({ sku: z.string(), actor: z.string(), atMs: z.number() });

/** A person says which SKU an item of a channel is; `sku` null: it goes by the rules again. */
export interface MappingChange {
  readonly channel: ChannelId;
  readonly itemId: string;
  readonly sku: Sku | null;
}

/** Other daemons of the merchant hear of a change within this time. */
const refreshMs = 2_000;
/** Holds a group separator, which no channel id does. */
const versionField = '\u001dversion';
const separator = '\u001f';

/** Which item of which channel is which SKU, by the word of a person. Durable, in every daemon, over restarts. */
export class MappingDecisions {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #log: Logger;
  readonly #skus = new Map<string, Sku>();
  readonly #listeners = new Set<(channels: ReadonlySet<ChannelId>) => void>();
  #version = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis, key: string, log: Logger) {
    this.#redis = redis;
    this.#key = key;
    this.#log = log;
  }

  async start(): Promise<void> {
    await this.#refresh();
    const again = (): void => {
      this.#timer = setTimeout(() => {
        this.#refresh()
          .catch((error: unknown) => this.#log.debug({ err: error }, 'mapping decisions were not read'))
          .finally(() => this.#timer !== undefined && again());
      }, refreshMs);
    };
    again();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  of(channel: ChannelId, itemId: string): Sku | undefined {
    return this.#skus.get(`${channel}${separator}${itemId}`);
  }

  /** Told after the decisions of these channels have changed. It must not throw. */
  onChanged(listener: (channels: ReadonlySet<ChannelId>) => void): void {
    this.#listeners.add(listener);
  }

  /** All of them or none, durable before they count. */
  async apply(changes: readonly MappingChange[], actor: string): Promise<void> {
    if (changes.length === 0) return;
    const atMs = Date.now();
    const fields: string[] = [versionField, randomUUID()];
    for (const { channel, itemId, sku } of changes) {
      // An empty value, not a deletion: one command sets them all.
      fields.push(
        `${channel}${separator}${itemId}`,
        sku === null ? '' : JSON.stringify({ sku, actor, atMs }),
      );
    }
    await this.#redis.hset(this.#key, ...fields);
    await this.#refresh();
  }

  async #refresh(): Promise<void> {
    const version = (await this.#redis.hget(this.#key, versionField)) ?? '';
    if (version === this.#version) return;
    const stored = await this.#redis.hgetall(this.#key);
    const changed = new Set<ChannelId>();
    for (const [field, text] of Object.entries(stored)) {
      if (field === versionField) continue;
      const sku = text === '' ? undefined : (record.safeParse(JSON.parse(text)).data?.sku as Sku | undefined);
      if (this.#skus.get(field) === sku) continue;
      if (sku === undefined) this.#skus.delete(field);
      else this.#skus.set(field, sku);
      changed.add(field.slice(0, field.indexOf(separator)) as ChannelId);
    }
    this.#version = stored[versionField] ?? version;
    if (changed.size > 0) for (const listener of this.#listeners) listener(changed);
  }
}
