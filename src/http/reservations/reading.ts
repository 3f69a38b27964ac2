import {
  type AvailabilityStatus,
  availabilityStatus,
  backpressureOf,
} from '../../domain/availability-status.ts';
import { StockmeshError } from '../../domain/errors.ts';
import type { Sku } from '../../domain/ids.ts';
import type { Caller } from '../api/caller.ts';
import type { Availability, AvailabilityItem } from './answers.ts';
import { agentOf } from './asked.ts';
import { ageOf, type Decisions } from './decisions.ts';
import type { ReservationParts } from './parts.ts';
import type { AvailabilityQuery } from './requests.ts';
import type { Outcome } from './service.ts';
import type { LedgerAwayPolicy } from './settings.ts';
import type { BuyerClass, LevelsOf } from './stock-view.ts';

interface Snapshot {
  readonly levelsOf: LevelsOf;
  readonly seq: number;
  readonly ageMs: number;
  readonly source: 'copy' | 'ledger' | 'old_copy';
}

/** What a buyer could have, and how sure that is. */
export class Reading {
  readonly #parts: ReservationParts;
  readonly #decisions: Decisions;

  constructor(parts: ReservationParts, decisions: Decisions) {
    this.#parts = parts;
    this.#decisions = decisions;
  }

  async availability(caller: Caller, query: AvailabilityQuery): Promise<Outcome<Availability>> {
    const { ledger, metrics, receipts, settings } = this.#parts;
    const agent =
      query.agent_id === undefined && caller.agentId === undefined ? '' : agentOf(caller, query.agent_id);
    const buyer: BuyerClass = agent !== '' || caller.class === 'agent' ? 'agent' : 'checkout';
    const skus = (Array.isArray(query.sku) ? query.sku : [query.sku]) as Sku[];
    const snapshot = (query.fresh === 'true' ? await this.#exact(skus) : undefined) ?? this.#copied();
    const items: AvailabilityItem[] = [];
    for (const sku of skus) {
      const item =
        snapshot.source === 'old_copy'
          ? await this.#whileAway(sku, buyer, snapshot)
          : this.#item(sku, buyer, snapshot);
      metrics.answers.inc({ source: item.source });
      items.push(item);
    }
    const nowMs = ledger.nowMs();
    const isSampled = this.#decisions.isSampled('read');
    const body: Availability = {
      items,
      sequence: this.#decisions.sequenceOf(snapshot.seq),
      as_of: new Date(nowMs).toISOString(),
      age_ms: ageOf(snapshot.ageMs),
      max_age_ms: settings.availability.maxAgeMs,
      decision_id: isSampled ? this.#decisions.newId() : null,
    };
    if (buyer === 'agent') body.receipt = receipts.make(body, body.sequence, nowMs);
    if (Number.isFinite(snapshot.ageMs)) metrics.dataAge.observe({ what: 'read' }, snapshot.ageMs / 1_000);
    if (body.decision_id !== null) {
      this.#decisions.record(caller, {
        kind: 'read',
        decision_id: body.decision_id,
        outcome: 'shown',
        ...(agent === '' ? {} : { agent_id: agent }),
        asked: { skus, fresh: query.fresh === 'true' },
        sequence: body.sequence,
        dataAgeMs: body.age_ms,
        shown: items.map(({ sku, available, status, source }) => ({ sku, available, status, source })),
        ...(body.receipt === undefined ? {} : { receipt: body.receipt.sha256 }),
        rationale: [...new Set(items.map(reasonOf))],
      });
    }
    return { status: 200, body, isReplayed: false };
  }

  #copied(): Snapshot {
    const { copy, settings } = this.#parts;
    const ageMs = copy.ageMs();
    return {
      levelsOf: (sku) => copy.levelsOf(sku),
      seq: copy.position.seq,
      ageMs,
      source: ageMs <= settings.availability.maxAgeMs ? 'copy' : 'old_copy',
    };
  }

  /** From the ledger at this moment; undefined: it does not answer, and the category's policy decides. */
  async #exact(skus: readonly Sku[]): Promise<Snapshot | undefined> {
    const { ledger, rules } = this.#parts;
    const wanted = new Set<Sku>();
    for (const sku of skus) for (const part of rules.componentsOf(sku) ?? [{ sku }]) wanted.add(part.sku);
    try {
      const { position, levels } = await ledger.peek([...wanted]);
      const levelsOf: LevelsOf = (sku) => {
        const found = levels.get(sku);
        return found === undefined || found.size === 0 ? this.#parts.copy.levelsOf(sku) : found;
      };
      return { levelsOf, seq: position.seq, ageMs: 0, source: 'ledger' };
    } catch (error) {
      if (!isAway(error)) throw error;
      const copied = this.#copied();
      // Asked for the exact figure: a copy is not it, however young.
      return { ...copied, source: 'old_copy' };
    }
  }

  #item(sku: Sku, buyer: BuyerClass, { levelsOf, ageMs, source }: Snapshot): AvailabilityItem {
    const { isKnown, available, forBuyer, status } = this.#parts.rules.view(sku, buyer, levelsOf);
    if (!isKnown) return this.#unknown(sku, source, null, ageMs);
    return {
      sku,
      available: forBuyer,
      status,
      source,
      policy: null,
      age_ms: ageOf(ageMs),
      backorder: this.#parts.rules.laterOf(sku, Math.min(0, available)),
      pace: backpressureOf(status),
    };
  }

  /** The ledger cannot be read: what the category says, and the answer says which it was. */
  async #whileAway(sku: Sku, buyer: BuyerClass, snapshot: Snapshot): Promise<AvailabilityItem> {
    const { rules, settings, askSource } = this.#parts;
    const policy = settings.availability.ledgerAway[rules.termsOf(sku).consistency];
    if (policy === 'deny') return this.#unknown(sku, 'none', policy, snapshot.ageMs);
    if (policy === 'cached') {
      const item = this.#item(sku, buyer, snapshot);
      if (item.available === null) return { ...item, policy };
      const available = Math.floor((item.available * settings.availability.cachedPercent) / 100);
      return this.#conservative(item, available, policy);
    }
    const units = await askSource(sku);
    if (units === undefined) return this.#unknown(sku, 'none', policy, snapshot.ageMs);
    const { kept } = rules.view(sku, buyer, snapshot.levelsOf);
    const available = Math.max(0, units - Math.max(0, kept));
    const item = this.#item(sku, buyer, snapshot);
    return { ...this.#conservative(item, available, policy), source: 'channel', age_ms: 0 };
  }

  #conservative(item: AvailabilityItem, available: number, policy: LedgerAwayPolicy): AvailabilityItem {
    const status = availabilityStatus(available, this.#parts.rules.termsOf(item.sku as Sku));
    return { ...item, available, status, policy, pace: backpressureOf(status) };
  }

  #unknown(
    sku: Sku,
    source: AvailabilityItem['source'],
    policy: LedgerAwayPolicy | null,
    ageMs: number,
  ): AvailabilityItem {
    return {
      sku,
      available: policy === null ? 0 : null,
      status: policy === null ? ('out_of_stock' satisfies AvailabilityStatus) : 'unknown',
      source,
      policy,
      age_ms: ageOf(ageMs),
      backorder: null,
      pace: 'stop',
    };
  }
}

function isAway(error: unknown): boolean {
  return error instanceof StockmeshError && /^(?:LEDGER|REDIS)_/.test(error.code);
}

function reasonOf({ source, policy, available }: AvailabilityItem): string {
  if (policy !== null)
    return `the ledger could not be read: ${policy}, ${available === null ? 'nothing told' : source}`;
  return source === 'ledger' ? 'read from the ledger at this moment' : 'from the copy, within its bound';
}
