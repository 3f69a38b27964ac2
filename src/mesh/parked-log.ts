import type { Logger } from 'pino';
import type { ParkedRow } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';

const windowMs = 60_000;
const linesPerWindow = 20;

/**
 * Says in the log what is parked, without flooding it: a catalogue that is not mapped yet parks thousands of rows for one
 * reason. Beyond 20 lines a minute and channel they are counted, and the count is said when the minute is over; each row
 * is in `GET /parked` all the same.
 *
 *   quiet --row--> counting (lines, then only numbers) --a minute--> quiet
 */
export class ParkedLog {
  readonly #log: Logger;
  readonly #windows = new Map<ChannelId, { rows: number; readonly last: NodeJS.Timeout }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  parked(channel: ChannelId, row: ParkedRow): void {
    const window = this.#windows.get(channel) ?? this.#open(channel);
    window.rows++;
    if (window.rows > linesPerWindow) return;
    const { what, reference, reason } = row;
    this.#log.warn({ channel, what, reference, reason }, 'parked, see GET /parked');
  }

  #open(channel: ChannelId): { rows: number; readonly last: NodeJS.Timeout } {
    const window = { rows: 0, last: setTimeout(() => this.#end(channel), windowMs).unref() };
    this.#windows.set(channel, window);
    return window;
  }

  #end(channel: ChannelId): void {
    const more = (this.#windows.get(channel)?.rows ?? 0) - linesPerWindow;
    this.#windows.delete(channel);
    if (more > 0) this.#log.warn({ channel, more }, 'more rows were parked, see GET /parked');
  }
}
