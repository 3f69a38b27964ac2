import type { Movement } from '../../domain/movement.ts';
import { isAllowed, type Caller } from '../api/caller.ts';
import type { AuditContent } from '../audit/audit-record.ts';
import type { Explanation } from './answers.ts';
import type { Decisions } from './decisions.ts';
import type { ReservationParts } from './parts.ts';
import type { DecisionQuery } from './requests.ts';
import type { Outcome } from './service.ts';

const maxDecisions = 1_000;
const maxMovements = 10_000;

/**
 * What was known, shown and decided about a hold, an order or a decision. Whoever may read every figure gets the log
 * replayed; others get the newest decisions of their own key.
 */
export class Explaining {
  readonly #parts: Pick<ReservationParts, 'audit' | 'history'>;
  readonly #decisions: Decisions;
  #replays = Promise.resolve();

  constructor(parts: Pick<ReservationParts, 'audit' | 'history'>, decisions: Decisions) {
    this.#parts = parts;
    this.#decisions = decisions;
  }

  async explain(caller: Caller, query: DecisionQuery): Promise<Outcome<Explanation>> {
    const { hold_id: holdId, order_id: orderId, decision_id: decisionId } = query;
    const order = orderId === undefined ? undefined : `${query.channel ?? 'direct'}:${orderId}`;
    const concerns = (content: AuditContent): boolean =>
      (decisionId !== undefined && content.decision_id === decisionId) ||
      (holdId !== undefined && content.hold_id === holdId) ||
      (order !== undefined && content.order === order);
    if (!isAllowed(caller, 'read')) {
      const words = [holdId, orderId, decisionId].filter((word) => word !== undefined);
      const decisions = this.#decisions.recent(words.map(wordIn));
      return answer(
        decisions.filter((content) => content.key_id === caller.keyId && concerns(content)),
        [],
      );
    }
    const holds = new Set(holdId === undefined ? [] : [holdId]);
    const movements = await this.#oneAtATime(() => this.#replay(holds, order));
    const words = [...holds, ...[orderId, decisionId].filter((word) => word !== undefined)];
    if (words.length === 0) return answer([], []);
    const found = await this.#parts.audit.find(words.map(wordIn), maxDecisions);
    const decisions = found.filter(
      (content) => concerns(content) || (content.hold_id !== undefined && holds.has(content.hold_id)),
    );
    return answer(decisions, movements);
  }

  /** A replay reads everything there is. */
  async #oneAtATime<Result>(replay: () => Promise<Result>): Promise<Result> {
    const before = this.#replays;
    let done: () => void = () => undefined;
    this.#replays = new Promise((resolve) => (done = resolve));
    await before;
    try {
      return await replay();
    } finally {
      done();
    }
  }

  /** Entries of the order and of the holds that became it; those holds are added to `holds`. */
  async #replay(holds: Set<string>, order: string | undefined): Promise<readonly Movement[]> {
    if (holds.size === 0 && order === undefined) return [];
    if (order !== undefined) {
      for await (const page of this.#parts.history())
        for (const entry of page)
          if (entry.kind === 'hold-committed' && orderIn(entry) === order) holds.add(entry.reference);
    }
    const found: Movement[] = [];
    for await (const page of this.#parts.history()) {
      for (const entry of page) {
        const isOfHold = holdKinds.has(entry.kind) && holds.has(entry.reference);
        const isOfOrder = order !== undefined && `${entry.channel}:${entry.reference}` === order;
        if ((isOfHold || isOfOrder) && found.length < maxMovements) found.push(entry);
      }
    }
    return found;
  }
}

/** As the word stands in JSON text. */
function wordIn(word: string): string {
  return JSON.stringify(word).slice(1, -1);
}

const holdKinds = new Set(['held', 'extended', 'released', 'expired', 'hold-committed']);

/** `extra` of a commit: `channel;order id;netted units`; the order id may hold a semicolon. */
function orderIn({ extra }: Movement): string {
  const first = extra.indexOf(';');
  return `${extra.slice(0, first)}:${extra.slice(first + 1, extra.lastIndexOf(';'))}`;
}

function answer(decisions: readonly AuditContent[], entries: readonly Movement[]): Outcome<Explanation> {
  const movements = entries.map(movementOf);
  const summary = [
    ...decisions.map((content) => ({ at: content.at, text: sentenceOf(content) })),
    ...movements.map(({ at, text }) => ({ at, text })),
  ]
    .toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .map(({ at, text }) => `${at} ${text}`);
  return {
    status: 200,
    body: {
      decisions: decisions.map((content) => ({ ...content })),
      movements: movements.map(({ entry }) => entry),
      summary,
    },
    isReplayed: false,
  };
}

function movementOf(entry: Movement) {
  const { onHand, committed, reserved } = entry;
  const before = {
    on_hand: onHand - entry.deltaOnHand,
    committed: committed - entry.deltaCommitted,
    reserved: reserved - entry.deltaReserved,
  };
  const availableBefore = before.on_hand - before.committed - before.reserved;
  const availableAfter = onHand - committed - reserved;
  const at = new Date(entry.atMs).toISOString();
  const shown = {
    sequence: entry.id,
    at,
    kind: entry.kind,
    sku: entry.sku,
    location: entry.location,
    units: entry.units,
    channel: entry.channel,
    reference: entry.reference,
    actor: entry.actor,
    before: { ...before, available: availableBefore },
    after: { on_hand: onHand, committed, reserved, available: availableAfter },
  };
  return {
    at,
    entry: shown,
    text:
      `${entry.id} ${entry.kind} ${entry.units} of ${entry.sku} at ${entry.location} ` +
      `(${entry.reference}): available ${availableBefore} -> ${availableAfter}`,
  };
}

function sentenceOf({
  decision_id: id,
  kind,
  outcome,
  key_id: key,
  agent_id: agent,
  known,
  rationale,
}: AuditContent): string {
  const who = agent ?? `key ${key}`;
  return (
    `decision ${id}: ${who} ${kind} -> ${outcome}, known at ${known.sequence} ` +
    `(copy ${known.data_age_ms} ms old): ${rationale.join('; ')}`
  );
}
