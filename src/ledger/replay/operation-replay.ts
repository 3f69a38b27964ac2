import type { Movement } from '../../domain/movement.ts';
import { readDeadline } from '../entry-extra.ts';
import { US } from '../keys.ts';

export interface ReplayedOperation {
  readonly seq: number;
  readonly atMs: number;
  /** Outcome and fields of the reply that a repeat gets. */
  readonly reply: readonly (string | number)[];
}

/** Results of commands that carried an operation id, as long as the ledger keeps them. */
export class OperationReplay {
  readonly operations = new Map<string, ReplayedOperation>();
  readonly #keepMs: number;

  constructor(keepMs: number) {
    this.#keepMs = keepMs;
  }

  add(m: Movement): void {
    if (m.operationId === '') return;
    if (m.kind === 'counted') {
      this.#keep(m.operationId, m, ['counted', m.onHand, m.units, 0 - m.deltaCommitted]);
    } else if (m.kind === 'extended') {
      this.#keep(`${m.reference}${US}${m.operationId}`, m, ['extended', m.atMs + readDeadline(m).ttlMs]);
    } else if (m.line !== '') {
      // The lines of orders have marks of their own in this field.
    } else if (m.kind === 'cancelled') {
      this.#keep(m.operationId, m, ['resolved', m.units + this.#resolvedBefore(m)]);
    } else {
      this.#keep(m.operationId, m, ['adjusted']);
    }
  }

  /** A credit open at several locations is resolved by several entries of one operation. */
  #resolvedBefore(m: Movement): number {
    const before = this.operations.get(m.operationId);
    return before?.reply[0] === 'resolved' ? Number(before.reply[1]) : 0;
  }

  #keep(id: string, m: Movement, reply: readonly (string | number)[]): void {
    this.operations.delete(id);
    this.operations.set(id, { seq: m.seq, atMs: m.atMs, reply });
    for (const [oldest, { atMs }] of this.operations) {
      if (atMs > m.atMs - this.#keepMs) return;
      this.operations.delete(oldest);
    }
  }
}
