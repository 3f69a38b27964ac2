import { availabilityStatus, backpressureOf } from '../../domain/availability-status.ts';
import { StockmeshError } from '../../domain/errors.ts';
import type { Sku } from '../../domain/ids.ts';
import type { Caller } from '../api/caller.ts';
import type { Availability, AvailabilityItem } from './answers.ts';
import { agentOf } from './asked.ts';
import { ageOf, type Decisions } from './decisions.ts';
import { isoTimeOf } from './iso-time.ts';
import type { ReservationParts } from './parts.ts';
import type { AvailabilityQuery } from './requests.ts';
import type { Outcome } from './service.ts';
import type { LedgerAwayPolicy } from './settings.ts';
import { agedItem, itemOf, ShownItems } from './shown-items.ts';
import type { BuyerClass, LevelsOf } from './stock-view.ts';

interface Snapshot {
  readonly levelsOf: LevelsOf;
  readonly seq: number;
  readonly ageMs: number;
  readonly source: 'copy' | 'ledger' | 'old_copy';
}

/** How an answer comes about. */
interface How {
  readonly seq: number;
  readonly ageMs: number;
  readonly nowMs: number;
  readonly isSampled: boolean;
}

interface AskedOf {
  readonly caller: Caller;
  /** As the ledger names it; empty: no agent. */
  readonly agent: string;
  readonly buyer: BuyerClass;
  readonly skus: readonly Sku[];
  readonly isFresh: boolean;
}

/** An answer from the copy, and all that it was made of. */
interface Told {
  readonly sku: AvailabilityQuery['sku'];
  readonly buyer: BuyerClass;
  readonly epoch: number;
  readonly seq: number;
  readonly nowMs: number;
  readonly ageMs: number;
  readonly outcome: Outcome<Availability>;
}

/** What a buyer could have, and how sure that is. */
export class Reading {
  readonly #parts: ReservationParts;
  readonly #decisions: Decisions;
  readonly #shown: ShownItems;
  /** The newest: when thousands ask about one SKU, dozens ask within the same millisecond. */
  #told: Told | undefined;

  constructor(parts: ReservationParts, decisions: Decisions) {
    this.#parts = parts;
    this.#decisions = decisions;
    this.#shown = new ShownItems(parts.copy, parts.rules);
    parts.copy.onChanged(() => (this.#told = undefined));
  }

  /** At once where the copy may answer. */
  availability(
    caller: Caller,
    query: AvailabilityQuery,
  ): Outcome<Availability> | Promise<Outcome<Availability>> {
    const agent =
      query.agent_id === undefined && caller.agentId === undefined ? '' : agentOf(caller, query.agent_id);
    const buyer: BuyerClass = agent !== '' || caller.class === 'agent' ? 'agent' : 'checkout';
    const ageMs = this.#parts.copy.ageMs();
    if (query.fresh === 'true' || ageMs > this.#parts.settings.availability.maxAgeMs) {
      const asked = askedOf(caller, agent, buyer, query);
      return asked.isFresh ? this.#lookedUp(asked) : this.#lookedUp(asked, this.#copied());
    }
    return this.#fromCopy(caller, agent, buyer, query, ageMs);
  }

  /** The copy is young enough. */
  #fromCopy(
    caller: Caller,
    agent: string,
    buyer: BuyerClass,
    query: AvailabilityQuery,
    preciseAgeMs: number,
  ): Outcome<Availability> {
    const { copy, ledger, metrics } = this.#parts;
    const { sku } = query;
    const { seq } = copy.position;
    const epoch = this.#parts.epoch();
    const nowMs = ledger.nowMs();
    const ageMs = ageOf(preciseAgeMs);
    const isSampled = this.#decisions.isSampled('read');
    const told = this.#told;
    if (
      !isSampled &&
      told !== undefined &&
      told.sku === sku &&
      told.buyer === buyer &&
      told.nowMs === nowMs &&
      told.ageMs === ageMs &&
      told.seq === seq &&
      told.epoch === epoch
    ) {
      metrics.answered('copy', told.outcome.body.items.length);
      metrics.dataAge.read.observe(preciseAgeMs / 1_000);
      return told.outcome;
    }
    const asked = askedOf(caller, agent, buyer, query);
    const items: AvailabilityItem[] = [];
    let text = '';
    for (const of of asked.skus)
      text += `${text === '' ? '' : ','}${this.#shown.add(of, buyer, ageMs, items)}`;
    const outcome = this.#answer(asked, { seq, ageMs: preciseAgeMs, nowMs, isSampled }, items, text);
    if (!isSampled) {
      Object.freeze(outcome.body);
      this.#told = { sku, buyer, epoch, seq, nowMs, ageMs, outcome };
    }
    return outcome;
  }

  /** What the copy alone cannot answer. */
  async #lookedUp(asked: AskedOf, copied?: Snapshot): Promise<Outcome<Availability>> {
    const { buyer, skus } = asked;
    const snapshot = copied ?? (await this.#exact(skus));
    const items: AvailabilityItem[] = [];
    for (const sku of skus) {
      items.push(
        snapshot.source === 'old_copy'
          ? await this.#whileAway(sku, buyer, snapshot)
          : this.#item(sku, buyer, snapshot),
      );
    }
    const { seq, ageMs } = snapshot;
    const how = {
      seq,
      ageMs,
      nowMs: this.#parts.ledger.nowMs(),
      isSampled: this.#decisions.isSampled('read'),
    };
    return this.#answer(asked, how, items, JSON.stringify(items).slice(1, -1));
  }

  /** `itemsText`: JSON of the items, without brackets. */
  #answer(
    { caller, agent, buyer, skus, isFresh }: AskedOf,
    { seq, ageMs, nowMs, isSampled }: How,
    items: AvailabilityItem[],
    itemsText: string,
  ): Outcome<Availability> {
    const { metrics, receipts, settings } = this.#parts;
    const body: Availability = {
      items,
      sequence: this.#decisions.sequenceOf(seq),
      as_of: isoTimeOf(nowMs),
      age_ms: ageOf(ageMs),
      max_age_ms: settings.availability.maxAgeMs,
      decision_id: isSampled ? this.#decisions.newId() : null,
    };
    // As JSON.stringify would have it (a test compares): nothing in it needs escaping, and its items are text already.
    let text =
      `{"items":[${itemsText}],"sequence":"${body.sequence}","as_of":"${body.as_of}","age_ms":${body.age_ms},` +
      `"max_age_ms":${body.max_age_ms},"decision_id":${body.decision_id === null ? 'null' : `"${body.decision_id}"`}}`;
    if (buyer === 'agent') text = receipts.attach(body, body.sequence, nowMs, text);
    for (const { source } of items) metrics.answered(source);
    if (Number.isFinite(ageMs)) metrics.dataAge.read.observe(ageMs / 1_000);
    if (body.decision_id !== null) {
      this.#decisions.record(caller, {
        kind: 'read',
        decision_id: body.decision_id,
        outcome: 'shown',
        agent_id: agent || undefined,
        asked: { skus, fresh: isFresh },
        sequence: body.sequence,
        dataAgeMs: body.age_ms,
        shown: items.map(({ sku, available, status, source }) => ({ sku, available, status, source })),
        receipt: body.receipt?.sha256,
        rationale: [...new Set(items.map(reasonOf))],
      });
    }
    return { status: 200, body, isReplayed: false, text };
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

  /** From the ledger at this moment; `old_copy`: it does not answer, and the category's policy decides. */
  async #exact(skus: readonly Sku[]): Promise<Snapshot> {
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
    return agedItem(itemOf(this.#parts.rules, sku, buyer, levelsOf, source), ageOf(ageMs));
  }

  /** The ledger cannot be read: what the category says, and the answer says which it was. */
  async #whileAway(sku: Sku, buyer: BuyerClass, snapshot: Snapshot): Promise<AvailabilityItem> {
    const { rules, settings, askSource } = this.#parts;
    const policy = settings.availability.ledgerAway[rules.termsOf(sku).consistency];
    if (policy === 'deny') return this.#untold(sku, policy, snapshot.ageMs);
    if (policy === 'cached') {
      const item = this.#item(sku, buyer, snapshot);
      const available = Math.floor(((item.available ?? 0) * settings.availability.cachedPercent) / 100);
      return this.#conservative(item, available, policy);
    }
    const units = await askSource(sku);
    if (units === undefined) return this.#untold(sku, policy, snapshot.ageMs);
    const { kept } = rules.view(sku, buyer, snapshot.levelsOf);
    const available = Math.max(0, units - Math.max(0, kept));
    const item = this.#item(sku, buyer, snapshot);
    return { ...this.#conservative(item, available, policy), source: 'channel', age_ms: 0 };
  }

  #conservative(item: AvailabilityItem, available: number, policy: LedgerAwayPolicy): AvailabilityItem {
    const status = availabilityStatus(available, this.#parts.rules.termsOf(item.sku as Sku));
    return { ...item, available, status, policy, pace: backpressureOf(status) };
  }

  #untold(sku: Sku, policy: LedgerAwayPolicy, ageMs: number): AvailabilityItem {
    return {
      sku,
      available: null,
      status: 'unknown',
      source: 'none',
      policy,
      age_ms: ageOf(ageMs),
      backorder: null,
      pace: 'stop',
    };
  }
}

function askedOf(
  caller: Caller,
  agent: string,
  buyer: BuyerClass,
  { sku, fresh }: AvailabilityQuery,
): AskedOf {
  const skus = (typeof sku === 'string' ? [sku] : sku) as Sku[];
  return { caller, agent, buyer, skus, isFresh: fresh === 'true' };
}

function isAway(error: unknown): boolean {
  return error instanceof StockmeshError && /^(?:LEDGER|REDIS)_/.test(error.code);
}

function reasonOf({ source, policy, available }: AvailabilityItem): string {
  if (policy !== null)
    return `the ledger could not be read: ${policy}, ${available === null ? 'nothing told' : source}`;
  return source === 'ledger' ? 'read from the ledger at this moment' : 'from the copy, within its bound';
}
