import type { Sku } from '../domain/ids.ts';
import type { Position } from './contract.ts';
import { formatPosition, parsePosition } from './position.ts';
import { checkText, invalid } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

/** One thing to tell, exactly as it will be sent. */
export interface BookedNotice {
  /** The same for every attempt and every receiver. */
  readonly id: string;
  readonly body: string;
}

export interface NoticeBooking {
  /** The place the booking was made from; undefined: there was none. */
  readonly from: Position | undefined;
  /** undefined: statuses are noted, the place stays. */
  readonly to: Position | undefined;
  /** What was last told (or is taken as known) of each SKU. */
  readonly statuses: readonly (readonly [Sku, string])[];
  readonly notices: readonly BookedNotice[];
}

const maxNoticeBytes = 65_536;
const maxStatuses = 2_000;
const maxNotices = 5_000;
const cursorName = 'notices';

/**
 * The outbox of notices: written together with the place in the log it was made up to, emptied into the queues of the
 * receivers. A notice is in it until its delivery is durable elsewhere.
 */
export class NoticeCommands {
  readonly #caller: ScriptCaller;
  readonly #maxWaiting: number;

  constructor(caller: ScriptCaller, limits: { readonly maxWaiting?: number } = {}) {
    this.#caller = caller;
    this.#maxWaiting = limits.maxWaiting ?? 100_000;
  }

  /** `moved-on`: another daemon has booked from there; `full`: nothing was booked, the outbox has to be emptied first. */
  async book({ from, to, statuses, notices }: NoticeBooking): Promise<'booked' | 'moved-on' | 'full'> {
    if (statuses.length > maxStatuses || notices.length > maxNotices)
      throw invalid('too many notices at once');
    const rows = notices.flatMap(({ id, body }): (string | number)[] => {
      if (Buffer.byteLength(body) > maxNoticeBytes)
        throw invalid(`notice ${id} is larger than ${maxNoticeBytes} bytes`);
      return [to?.seq ?? 0, rowOf({ id, body })];
    });
    const reply = await this.#caller.call('notices', [
      'book',
      from === undefined ? '' : formatPosition(from),
      to === undefined ? '' : formatPosition(to),
      this.#maxWaiting,
      statuses.length,
      ...statuses.flat(),
      ...rows,
    ]);
    return reply.outcome as 'booked' | 'moved-on' | 'full';
  }

  /** The oldest that wait. */
  async waiting(limit: number): Promise<readonly BookedNotice[]> {
    const { redis, keys } = this.#caller;
    const rows = await redis.zrange(keys.notices, 0, `${limit - 1}`);
    return rows.map((row: string) => {
      const end = row.indexOf(' ');
      return { id: row.slice(0, end), body: row.slice(end + 1) };
    });
  }

  async waitingCount(): Promise<number> {
    return this.#caller.redis.zcard(this.#caller.keys.notices);
  }

  async drop(notices: readonly BookedNotice[]): Promise<void> {
    if (notices.length === 0) return;
    await this.#caller.call('notices', ['drop', ...notices.map(rowOf)]);
  }

  async place(): Promise<Position | undefined> {
    const { redis, keys } = this.#caller;
    const place = await redis.hget(keys.cursors, cursorName);
    return place === null ? undefined : parsePosition(place);
  }

  /** What was last told of every SKU. */
  async statuses(): Promise<Map<Sku, string>> {
    const { redis, keys } = this.#caller;
    const statuses = new Map<Sku, string>();
    let cursor = '0';
    do {
      const [next, rows] = await redis.hscan(keys.statuses, cursor, 'COUNT', 1_000);
      for (let i = 0; i + 1 < rows.length; i += 2) statuses.set(rows[i] as Sku, rows[i + 1] ?? '');
      cursor = next;
    } while (cursor !== '0');
    return statuses;
  }
}

function rowOf({ id, body }: BookedNotice): string {
  return `${checkText('notice id', id)} ${body}`;
}
