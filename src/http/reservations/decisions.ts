import { randomBytes } from 'node:crypto';
import type { AuditContent } from '../audit/audit-record.ts';
import type { Caller } from '../api/caller.ts';
import type { ReservationParts } from './parts.ts';

type Decided = Omit<AuditContent, 'at' | 'key_id' | 'known'> & {
  readonly sequence: string;
  readonly dataAgeMs: number;
  readonly stock?: unknown;
};

const maxRecent = 5_000;

/** Ids, clock and records of decisions. */
export class Decisions {
  readonly #parts: Pick<ReservationParts, 'audit' | 'ledger' | 'settings' | 'epoch'>;
  readonly #prefix = randomBytes(6).toString('base64url');
  #count = 0;
  /** The newest, for their own callers: nobody reads a gigabyte of files for an agent. */
  readonly #recent: AuditContent[] = [];

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
    return new Date(this.#parts.ledger.nowMs()).toISOString();
  }

  isSampled(what: 'denial' | 'read'): boolean {
    const { denialsPercent, readsPercent } = this.#parts.settings.audit;
    const percent = what === 'denial' ? denialsPercent : readsPercent;
    return percent >= 100 || Math.random() * 100 < percent;
  }

  record(caller: Caller, { sequence, dataAgeMs, stock, ...decided }: Decided): void {
    const content: AuditContent = {
      at: this.now(),
      key_id: caller.keyId,
      ...decided,
      known: { sequence, data_age_ms: dataAgeMs, ...(stock === undefined ? {} : { stock }) },
    };
    this.#parts.audit.append(content);
    this.#recent.push(content);
    if (this.#recent.length >= 2 * maxRecent) this.#recent.splice(0, maxRecent);
  }

  recent(keep: (content: AuditContent) => boolean): readonly AuditContent[] {
    return this.#recent.filter(keep);
  }
}

/** JSON has no infinity: an age never known is told as -1. */
export function ageOf(ms: number): number {
  return Number.isFinite(ms) ? Math.round(ms) : -1;
}
