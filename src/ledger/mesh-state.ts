import { randomUUID } from 'node:crypto';
import { StockmeshError } from '../domain/errors.ts';
import type { MeshState, ParkedEntry } from './contract.ts';
import { US } from './keys.ts';
import { checkText, checkWhole, invalid } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

/** What does not fit is refused: whoever keeps lists in a cursor cuts them to this. */
export const maxCursorBytes = 32_768;
const maxParked = 100_000;
const maxParkedBytes = 65_536;
const maxPage = 1_000;

const cursorShapes = { position: /^\d+-\d+$/, number: /^(?:0|[1-9]\d*)$/, opaque: /^/ } as const;

/** Small durable state of the mesh, in the ledger's Redis so that it rolls back with it. */
export class RedisMeshState implements MeshState {
  readonly #caller: ScriptCaller;
  readonly #maxParked: number;

  constructor(caller: ScriptCaller, limits: { readonly maxParked?: number } = {}) {
    this.#caller = caller;
    this.#maxParked = limits.maxParked ?? maxParked;
  }

  /** `expected` null: nothing is there yet. Without it an opaque cursor is simply replaced. */
  async moveCursor(
    name: string,
    to: string,
    order: 'position' | 'number' | 'opaque',
    expected?: string | null,
  ): Promise<'moved' | 'kept'> {
    if (!cursorShapes[order].test(to)) throw invalid(`cursor ${name} is not a ${order}: ${to}`);
    if (Buffer.byteLength(to) > maxCursorBytes) throw invalid(`cursor ${name} is too long`);
    const reply = await this.#caller.call('move-cursor', [
      checkText('cursor name', name),
      to,
      order,
      expected === undefined ? 0 : 1,
      expected === null ? 1 : 0,
      expected ?? '',
    ]);
    return reply.outcome === 'moved' ? 'moved' : 'kept';
  }

  async cursor(name: string): Promise<string | null> {
    const reply = await this.#caller.call('show-mesh', ['cursor', checkText('cursor name', name)]);
    const value = reply.fields[0];
    return typeof value === 'string' ? value : null;
  }

  async takePeriod(task: string, period: string): Promise<boolean> {
    const reply = await this.#caller.call('take-period', [
      checkText('task', task),
      checkText('period', period),
      randomUUID(),
    ]);
    return reply.outcome === 'taken';
  }

  /** Parking the same id again replaces its content and counts. Throws LEDGER_PARKED_FULL: the sender must keep it. */
  async park(row: ParkedEntry): Promise<void> {
    const content = JSON.stringify(row);
    if (Buffer.byteLength(content) > maxParkedBytes) {
      throw invalid(`parked row ${row.id} is larger than ${maxParkedBytes} bytes`);
    }
    const reply = await this.#caller.call('park', [
      'park',
      checkText('parked id', row.id),
      content,
      this.#maxParked,
    ]);
    if (reply.outcome === 'full') {
      throw new StockmeshError('LEDGER_PARKED_FULL', { limit: this.#maxParked, id: row.id });
    }
  }

  async unpark(id: string): Promise<void> {
    await this.#caller.call('park', ['unpark', checkText('parked id', id)]);
  }

  /** Oldest first. `after` is the last id of the page before; when it is gone the walk starts again. */
  async parked(limit: number, after = ''): Promise<readonly ParkedEntry[]> {
    const reply = await this.#caller.call('show-mesh', [
      'parked',
      checkWhole('limit', limit, 1, maxPage),
      after,
    ]);
    const rows: ParkedEntry[] = [];
    for (let i = 0; i < reply.fields.length; i += 2) {
      const packed = String(reply.fields[i + 1]);
      const split = packed.indexOf(US);
      if (split < 0) continue;
      const entry = JSON.parse(packed.slice(split + 1)) as ParkedEntry;
      rows.push({ ...entry, times: Number(packed.slice(0, split)), parkedAtMs: Number(reply.fields[i]) });
    }
    return rows;
  }

  async parkedCount(): Promise<number> {
    const reply = await this.#caller.call('show-mesh', ['parked-count']);
    return Number(reply.fields[0]);
  }
}
