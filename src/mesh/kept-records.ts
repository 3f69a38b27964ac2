import type { Redis } from 'ioredis';

/** A named set of text records by id, in one Redis hash; ids that sort by time can be trimmed by age. */
export interface Records {
  get(id: string): Promise<string | undefined>;
  put(id: string, text: string): Promise<void>;
  drop(ids: readonly string[]): Promise<void>;
  /** In no order. */
  all(): AsyncIterable<readonly (readonly [id: string, text: string])[]>;
  /** Drops the smallest ids beyond the newest `keep`, and those below `before`; answers how many. */
  trim(keep: number, before: string): Promise<number>;
}

const pageSize = 500;
const maxRecordBytes = 262_144;

/** Each command stands by itself: repeated after a lost reply it changes nothing more. */
export class KeptRecords implements Records {
  readonly #redis: Redis;
  readonly #key: string;

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  async get(id: string): Promise<string | undefined> {
    return (await this.#redis.hget(this.#key, id)) ?? undefined;
  }

  async put(id: string, text: string): Promise<void> {
    await this.#redis.hset(this.#key, id, checked(id, text));
  }

  async drop(ids: readonly string[]): Promise<void> {
    for (let start = 0; start < ids.length; start += pageSize) {
      await this.#redis.hdel(this.#key, ...ids.slice(start, start + pageSize));
    }
  }

  async *all(): AsyncGenerator<readonly (readonly [string, string])[]> {
    let cursor = '0';
    do {
      const [next, pairs] = await this.#redis.hscan(this.#key, cursor, 'COUNT', pageSize);
      cursor = next;
      const page: [string, string][] = [];
      for (let at = 0; at + 1 < pairs.length; at += 2) page.push([pairs[at] ?? '', pairs[at + 1] ?? '']);
      yield page;
    } while (cursor !== '0');
  }

  async trim(keep: number, before: string): Promise<number> {
    const ids = (await this.#redis.hkeys(this.#key)).toSorted();
    const beyond = ids.slice(0, Math.max(0, ids.length - keep));
    const old = ids.slice(beyond.length).filter((id) => id < before);
    await this.drop([...beyond, ...old]);
    return beyond.length + old.length;
  }
}

function checked(id: string, text: string): string {
  if (Buffer.byteLength(text) <= maxRecordBytes) return text;
  throw new RangeError(`record ${id} is larger than ${maxRecordBytes} bytes`);
}
