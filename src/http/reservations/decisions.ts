import { randomBytes } from 'node:crypto';
import type { AuditContent } from '../audit/audit-record.ts';
import { RecentLines } from '../audit/recent-lines.ts';
import type { Caller } from '../api/caller.ts';
import { isoTimeOf } from './iso-time.ts';
import type { ReservationParts } from './parts.ts';

type Decided = Omit<AuditContent, 'at' | 'key_id' | 'known'> & {
  readonly sequence: string;
  readonly dataAgeMs: number;
  readonly stock?: unknown;
};

const minRecent = 5_000;

/** Ids, clock and records of decisions. */
export class Decisions {
  readonly #parts: Pick<ReservationParts, 'audit' | 'ledger' | 'settings' | 'epoch'>;
  readonly #prefix = randomBytes(6).toString('base64url');
  #count = 0;
  /** The newest, for their own callers: nobody reads a gigabyte of files for an agent. */
  readonly #recent = new RecentLines(minRecent);

  constructor(parts: Pick<ReservationParts, 'audit' | 'ledger' | 'settings' | 'epoch'>) {
    this.#parts = parts;
  }

  newId(): string {
    return `${this.#prefix}.${(++this.#count).toString(36)}`;
  }

  sequenceOf(seq: number): string {
    return `${this.#parts.epoch()}-${seq}`;
  }

  now(): string {
    return isoTimeOf(this.#parts.ledger.nowMs());
  }

  isSampled(what: 'denial' | 'read'): boolean {
    const { denialsPercent, readsPercent } = this.#parts.settings.audit;
    const percent = what === 'denial' ? denialsPercent : readsPercent;
    return percent >= 100 || Math.random() * 100 < percent;
  }

  record(caller: Caller, decided: Decided): void {
    const { sequence, dataAgeMs, stock } = decided;
    // Member by member: every hold is recorded, and rests and spreads cost more than the text that is made of it.
    const content: AuditContent = {
      at: this.now(),
      key_id: caller.keyId,
      kind: decided.kind,
      decision_id: decided.decision_id,
      outcome: decided.outcome,
      agent_id: decided.agent_id,
      hold_id: decided.hold_id,
      order: decided.order,
      asked: decided.asked,
      shown: decided.shown,
      receipt: decided.receipt,
      rationale: decided.rationale,
      known: { sequence, data_age_ms: dataAgeMs, stock },
    };
    this.#recent.add(this.#parts.audit.append(content));
  }

  /** Those that hold one of the words, oldest first; a word may stand anywhere in them. */
  recent(words: readonly string[]): readonly AuditContent[] {
    return this.#recent.holding(words).map((text) => JSON.parse(text) as AuditContent);
  }
}

/** JSON has no infinity: an age never known is told as -1. */
export function ageOf(ms: number): number {
  return Number.isFinite(ms) ? Math.round(ms) : -1;
}
