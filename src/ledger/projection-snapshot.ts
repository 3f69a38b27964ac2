import type { Redis } from 'ioredis';
import type { ChannelId, LocationId, Sku } from '../domain/ids.ts';
import type { Level } from '../domain/movement.ts';
import type { Position } from './contract.ts';
import { type LedgerKeys, US } from './keys.ts';

export interface SkuRow {
  /** Version of the hash that was loaded; 0 once an entry beyond it was applied. */
  loadedVersion: number;
  seq: number;
  /** Also log entries, whose figures are read when somebody asks for them. */
  readonly levels: Map<LocationId, Level>;
  /** Reserved units per `channel US location`; absent when none. */
  settling: Map<string, number> | undefined;
}

export interface ProjectionSnapshot {
  /** Every row contains at least every entry up to this. */
  readonly position: Position;
  readonly skus: Map<Sku, SkuRow>;
  readonly taken: Map<string, { taken: number; readonly seq: number }>;
}

const pageSize = 500;

/** Reads the ledger's hashes in pages. It holds up nobody: each page is one short pipeline. */
export class RedisProjectionSource {
  readonly #redis: Redis;
  readonly #keys: LedgerKeys;
  readonly #channels: readonly ChannelId[];

  constructor(redis: Redis, keys: LedgerKeys, channels: readonly ChannelId[] = []) {
    this.#redis = redis;
    this.#keys = keys;
    this.#channels = channels;
  }

  async load(): Promise<ProjectionSnapshot> {
    const [epoch, seq] = await this.#redis.hmget(this.#keys.ledger, 'epoch', 'seq');
    const skus = new Map<Sku, SkuRow>();
    for await (const page of this.#members(this.#keys.skus)) {
      const rows = await Promise.all(page.map((sku) => this.#redis.hgetall(this.#keys.sku(sku as Sku))));
      for (const [index, sku] of page.entries()) skus.set(sku as Sku, readSkuRow(rows[index] ?? {}));
    }
    const taken: ProjectionSnapshot['taken'] = new Map();
    for (const channel of this.#channels) await this.#loadTaken(channel, taken);
    return { position: { epoch: Number(epoch ?? 0), seq: Number(seq ?? 0) }, skus, taken };
  }

  /** A listing has no version of its own for `taken`: it is read together with the sequence it is true for. */
  async #loadTaken(channel: ChannelId, taken: ProjectionSnapshot['taken']): Promise<void> {
    for await (const page of this.#members(this.#keys.listings(channel))) {
      const read = this.#redis.multi().hget(this.#keys.ledger, 'seq');
      for (const listingId of page) read.hget(this.#keys.listing(channel, listingId), 't');
      const replies = (await read.exec()) ?? [];
      const seq = Number(replies[0]?.[1] ?? 0);
      for (const [index, listingId] of page.entries()) {
        taken.set(`${channel}${US}${listingId}`, { taken: Number(replies[index + 1]?.[1] ?? 0), seq });
      }
    }
  }

  async *#members(key: string): AsyncGenerator<readonly string[]> {
    let cursor = '0';
    do {
      const [next, members] = await this.#redis.sscan(key, cursor, 'COUNT', pageSize);
      cursor = next;
      if (members.length > 0) yield members;
    } while (cursor !== '0');
  }
}

export function readSkuRow(fields: Readonly<Record<string, string>>): SkuRow {
  const row: SkuRow = {
    loadedVersion: Number(fields['v'] ?? 0),
    seq: 0,
    levels: new Map(),
    settling: undefined,
  };
  for (const [name, text] of Object.entries(fields)) {
    const value = Number(text);
    const rest = name.slice(2);
    if (name.startsWith('o:')) setFigure(row, rest, 'onHand', value);
    else if (name.startsWith('c:')) setFigure(row, rest, 'committed', value);
    else if (name.startsWith('r:')) setFigure(row, rest, 'reserved', value);
    else if (name.startsWith('s:')) {
      row.settling ??= new Map();
      row.settling.set(rest, value);
    }
  }
  return row;
}

function setFigure(row: SkuRow, location: string, name: keyof Level, value: number): void {
  const level = row.levels.get(location as LocationId) ?? { onHand: 0, committed: 0, reserved: 0 };
  row.levels.set(location as LocationId, { ...level, [name]: value });
}
