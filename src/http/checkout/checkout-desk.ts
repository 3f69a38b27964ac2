// Long on purpose: the life of a session (create, update, complete, cancel) is read side by side.
import { randomUUID } from 'node:crypto';
import type { CheckoutCommands, KeptCheckout } from '../../ledger/checkout-commands.ts';
import type { Caller } from '../api/caller.ts';
import type { Denied, HoldAnswer, Refused } from '../reservations/answers.ts';
import { changedHoldId, makeHoldId, mayTouch } from '../reservations/hold-id.ts';
import type { ReservationService } from '../reservations/service.ts';
import type { ReservationSettings } from '../reservations/settings.ts';
import {
  isOfForm,
  makeSessionId,
  numberLines,
  type Remark,
  type SessionForm,
  type SessionLine,
  type SessionRecord,
  sessionRecord,
} from './session.ts';
import type { ToldStatus } from './words.ts';

export interface DeskParts {
  /** Without a pace of its own: what a platform asks once takes several calls of it. */
  readonly service: ReservationService;
  /** Counts a request of the caller, before anything is done for it. May throw. */
  readonly keepPace: (caller: Caller) => void;
  readonly store: Pick<CheckoutCommands, 'one' | 'put'>;
  readonly stages: ReservationSettings['stages'];
  readonly nowMs: () => number;
}

export interface AskedLine {
  readonly sku: string;
  readonly quantity: number;
}

export interface ToldLine extends SessionLine {
  readonly status: ToldStatus;
  /** Units the buyer may have, those held for this session included; null: not known. */
  readonly available: number | null;
}

export interface SessionView {
  readonly id: string;
  readonly phase: 'held' | 'unmet' | 'expired' | 'completed' | 'canceled';
  readonly lines: readonly ToldLine[];
  readonly remarks: readonly Remark[];
  readonly hold: HoldAnswer | undefined;
  readonly permalinkUrl: string | undefined;
  readonly createdMs: number;
  readonly changedMs: number;
}

export type DeskAnswer =
  | { readonly kind: 'shown'; readonly view: SessionView }
  /** No session of this key, or one whose record is no longer kept. */
  | { readonly kind: 'unknown' }
  /** Of `line` the ledger knows nothing; nothing was made. */
  | { readonly kind: 'unknown-item'; readonly line: number; readonly sku: string }
  /** None of the lines can be had at all; nothing was made. */
  | { readonly kind: 'nothing-there'; readonly remarks: readonly Remark[] }
  /** Completed, canceled or expired: nothing was changed. */
  | { readonly kind: 'not-open'; readonly view: SessionView };

/** What a session is for at most, after which it must be made anew: UCP's own default. */
const maxLifeMs = 6 * 3_600_000;
/** People are in the loop between two requests of a protocol's checkout. */
const checkoutTtlMs = 600_000;
const maxTries = 8;
/** Holds of one session of which it is not known yet whether they were made. */
const maxNoted = 32;

interface Loaded {
  readonly id: string;
  readonly kept: KeptCheckout;
  readonly record: SessionRecord;
  readonly hold: HoldAnswer | undefined;
  readonly lines: readonly SessionLine[];
  readonly phase: SessionView['phase'];
}

/** Carts and checkouts of UCP and ACP as holds; prices, payment and delivery stay with the merchant's own server. */
export class CheckoutDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** `refusesEmpty`: the protocol makes no session of which not a single unit can be had. */
  async create(
    caller: Caller,
    form: SessionForm,
    asked: readonly AskedLine[],
    key: string | undefined,
    refusesEmpty: boolean,
  ): Promise<DeskAnswer> {
    this.#parts.keepPace(caller);
    const id = makeSessionId(caller, form, key);
    const made = await this.#load(caller, form, id);
    if (made !== undefined) return { kind: 'shown', view: await this.#view(caller, made) };
    const lines = numberLines(asked, []);
    const outcome = await this.#reserve(caller, form, lines, `create ${key ?? randomUUID()}`);
    if (outcome.kind === 'unknown-item') return outcome;
    if (outcome.kind === 'denied' && refusesEmpty && outcome.isNothingThere)
      return { kind: 'nothing-there', remarks: outcome.remarks };
    const nowMs = this.#parts.nowMs();
    const record: SessionRecord = {
      holds: outcome.kind === 'held' ? [{ holdId: outcome.holdId, lines }] : [],
      asked: lines,
      unmet: outcome.kind === 'denied' ? [...outcome.remarks] : [],
      isCanceled: false,
      createdMs: nowMs,
      changedMs: nowMs,
    };
    await this.#parts.store.put(id, 0, JSON.stringify(record));
    return this.#shown(caller, form, id);
  }

  async show(caller: Caller, form: SessionForm, id: string): Promise<DeskAnswer> {
    this.#parts.keepPace(caller);
    return this.#shown(caller, form, id);
  }

  async #shown(caller: Caller, form: SessionForm, id: string): Promise<DeskAnswer> {
    const loaded = await this.#load(caller, form, id);
    return loaded === undefined
      ? { kind: 'unknown' }
      : { kind: 'shown', view: await this.#view(caller, loaded) };
  }

  /** Without lines only the deadline moves. What cannot be had changes nothing, and the answer says what it was. */
  async update(
    caller: Caller,
    form: SessionForm,
    id: string,
    asked: readonly AskedLine[] | undefined,
    key: string | undefined,
  ): Promise<DeskAnswer> {
    this.#parts.keepPace(caller);
    const operation = key ?? randomUUID();
    const givenUp: string[] = [];
    let asksAnew = 0;
    for (let attempt = 1; attempt <= maxTries; attempt++) {
      const loaded = await this.#load(caller, form, id);
      if (loaded === undefined) return { kind: 'unknown' };
      if (loaded.phase !== 'held' && loaded.phase !== 'unmet')
        return { kind: 'not-open', view: await this.#view(caller, loaded) };
      const lines = numberLines(asked ?? loaded.lines, loaded.lines);
      // A denial is kept under its key: what is asked anew is another question. By number, so that a repeat asks the same.
      const anew = asksAnew === 0 ? '' : ` ${asksAnew}`;
      const idempotencyKey = `${loaded.hold?.hold_id ?? 'first'} ${operation}${anew}`;
      const holdId =
        loaded.hold === undefined
          ? makeHoldId(caller, form.kind, idempotencyKey)
          : changedHoldId(loaded.hold.hold_id, idempotencyKey);
      // Noted first: whoever reads the session after a crash finds the hold that took the place of the old one.
      const noted = await this.#note(loaded, { holdId, lines }, givenUp);
      if (noted === undefined) continue;
      const outcome =
        loaded.hold === undefined
          ? await this.#reserve(caller, form, lines, idempotencyKey)
          : await this.#change(caller, form, loaded, loaded.hold, lines, idempotencyKey);
      if (outcome.kind === 'moved-on') {
        givenUp.push(holdId);
        continue;
      }
      if (outcome.kind === 'denied') {
        if (await this.#keepDenial(caller, loaded, noted, holdId, outcome.remarks, givenUp))
          return this.#shown(caller, form, id);
        asksAnew++;
        continue;
      }
      const over =
        outcome.kind === 'held' ? (await this.#keepOne(caller, id, holdId)).over : new Set([holdId]);
      await this.#write(caller, form, id, ({ record }) => ({
        ...record,
        holds: record.holds.filter((of) => !over.has(of.holdId)),
        unmet: [],
      }));
      return outcome.kind === 'unknown-item' ? outcome : this.#shown(caller, form, id);
    }
    // Others were first each time: theirs is the state now.
    return this.#shown(caller, form, id);
  }

  /** A hold that ran out is taken once more if its units are still there: the buyer has paid. */
  async complete(
    caller: Caller,
    form: SessionForm,
    id: string,
    order: { readonly channel: string; readonly id: string; readonly permalinkUrl: string | undefined },
    key: string | undefined,
  ): Promise<DeskAnswer> {
    this.#parts.keepPace(caller);
    const loaded = await this.#load(caller, form, id);
    if (loaded === undefined) return { kind: 'unknown' };
    const { hold, phase } = loaded;
    const named = { channel: order.channel, order_id: order.id };
    const isRepeat =
      phase === 'completed' &&
      hold?.order?.channel === named.channel &&
      hold.order.order_id === named.order_id;
    if (isRepeat) return { kind: 'shown', view: await this.#view(caller, loaded) };
    if (phase === 'completed' || phase === 'canceled')
      return { kind: 'not-open', view: await this.#view(caller, loaded) };
    if (hold === undefined || phase === 'unmet')
      return { kind: 'shown', view: await this.#view(caller, loaded) };
    const outcome = await this.#parts.service.commit(
      caller,
      hold.hold_id,
      { order: named, if_expired: 'reserve_again' },
      { idempotencyKey: inner(key, id) },
    );
    const { body } = outcome;
    if (body.outcome === 'committed') {
      await this.#write(caller, form, id, ({ record, lines }) => ({
        ...record,
        holds: [{ holdId: body.hold_id, lines: [...lines] }],
        unmet: [],
        ...(order.permalinkUrl === undefined ? {} : { permalinkUrl: order.permalinkUrl }),
      }));
      return this.#shown(caller, form, id);
    }
    const again = await this.#load(caller, form, id);
    if (again === undefined) return { kind: 'unknown' };
    return { kind: 'shown', view: await this.#view(caller, again, refusalRemarks(body, loaded.lines)) };
  }

  async cancel(caller: Caller, form: SessionForm, id: string, key: string | undefined): Promise<DeskAnswer> {
    this.#parts.keepPace(caller);
    const loaded = await this.#load(caller, form, id);
    if (loaded === undefined) return { kind: 'unknown' };
    if (loaded.phase === 'completed' || loaded.phase === 'canceled')
      return { kind: 'not-open', view: await this.#view(caller, loaded) };
    if (loaded.hold !== undefined && loaded.phase !== 'expired') {
      const { body } = await this.#parts.service.release(caller, loaded.hold.hold_id, {
        idempotencyKey: inner(key, id),
      });
      if (body.outcome === 'refused' && body.state === 'committed') {
        // Its completion was first.
        const now = (await this.#load(caller, form, id)) ?? loaded;
        return { kind: 'not-open', view: await this.#view(caller, now) };
      }
    }
    await this.#write(caller, form, id, ({ record }) => ({ ...record, isCanceled: true }));
    return this.#shown(caller, form, id);
  }

  /**
   * Undefined: somebody else was at the session meanwhile. What came before the hold of now stays noted: it may be held too,
   * by another request that has not looked yet.
   */
  async #note(
    { id, kept, record }: Loaded,
    next: { readonly holdId: string; readonly lines: SessionLine[] },
    /** Noted before by the same request, and never made or given back. */
    givenUp: readonly string[],
  ): Promise<SessionRecord | undefined> {
    const holds = record.holds.filter(({ holdId }) => holdId !== next.holdId && !givenUp.includes(holdId));
    if (holds.length >= maxNoted) return undefined;
    const noted: SessionRecord = { ...record, holds: [...holds, next] };
    return (await this.#put(id, kept.version, noted)) ? noted : undefined;
  }

  /**
   * Keeps why the lines cannot be had. False: another request was at the session, and one of its holds may have had the
   * units for a moment; they are to be asked for anew, as a change of what is held now.
   */
  async #keepDenial(
    caller: Caller,
    { id, kept, hold }: Loaded,
    noted: SessionRecord,
    own: string,
    remarks: readonly Remark[],
    givenUp: string[],
  ): Promise<boolean> {
    const { newest, over, gaveBack } = await this.#keepOne(caller, id, own);
    const isOther = newest !== undefined && newest !== hold?.hold_id;
    if (!isOther && !gaveBack && over.size === 0) {
      const denied: SessionRecord = {
        ...noted,
        holds: noted.holds.filter(({ holdId }) => holdId !== own),
        asked: noted.holds.find(({ holdId }) => holdId === own)?.lines ?? noted.asked,
        unmet: [...remarks],
        changedMs: this.#parts.nowMs(),
      };
      // Over its own note only: what others have written since is newer than this denial.
      if (await this.#put(id, kept.version + 1, denied)) return true;
    }
    givenUp.push(own, ...over);
    return false;
  }

  /**
   * Two first holds of one session, made at once, or one of them and a change of the other: the newest stays. Each looks
   * after its own was made, so the last one sees them all. `over`: those that were given back before, which need no note
   * any more; `gaveBack`: another one was, now.
   */
  async #keepOne(
    caller: Caller,
    id: string,
    own: string,
  ): Promise<{
    readonly newest: string | undefined;
    readonly over: ReadonlySet<string>;
    readonly gaveBack: boolean;
  }> {
    const over = new Set<string>();
    let newest: string | undefined;
    let gaveBack = false;
    const kept = await this.#parts.store.one(id);
    if (kept === undefined) return { newest, over, gaveBack };
    const { holds } = sessionRecord.parse(JSON.parse(kept.content));
    // The session was completed meanwhile, by another of its holds.
    if (!holds.some(({ holdId }) => holdId === own)) await this.#parts.service.release(caller, own);
    for (const { holdId } of holds.toReversed()) {
      const { body } = await this.#parts.service.get(caller, holdId);
      if ('lines' in body && body.state === 'released') over.add(holdId);
      if (!('lines' in body) || body.state !== 'held') continue;
      if (newest === undefined) newest = holdId;
      else {
        await this.#parts.service.release(caller, holdId);
        gaveBack = true;
      }
    }
    return { newest, over, gaveBack };
  }

  async #reserve(
    caller: Caller,
    form: SessionForm,
    lines: readonly SessionLine[],
    idempotencyKey: string,
  ): Promise<
    | { readonly kind: 'held'; readonly holdId: string }
    | { readonly kind: 'denied'; readonly remarks: readonly Remark[]; readonly isNothingThere: boolean }
    | Extract<DeskAnswer, { kind: 'unknown-item' }>
  > {
    const { body } = await this.#parts.service.reserve(
      caller,
      { lines: lines.map(plain), stage: form.kind, ttl_seconds: this.#ttlSeconds(form) },
      { idempotencyKey },
    );
    if (body.outcome === 'held')
      return { kind: 'held', holdId: makeHoldId(caller, form.kind, idempotencyKey) };
    return this.#denied(caller, body, lines, new Map());
  }

  async #change(
    caller: Caller,
    form: SessionForm,
    { record }: Loaded,
    hold: HoldAnswer,
    lines: readonly SessionLine[],
    idempotencyKey: string,
  ): Promise<
    | { readonly kind: 'held' }
    | { readonly kind: 'denied'; readonly remarks: readonly Remark[] }
    | { readonly kind: 'moved-on' }
    | Extract<DeskAnswer, { kind: 'unknown-item' }>
  > {
    const { body } = await this.#parts.service.change(
      caller,
      hold.hold_id,
      { lines: lines.map(plain), ttl_seconds: this.#ttlSeconds(form) },
      { idempotencyKey },
    );
    if (body.outcome === 'held') return { kind: 'held' };
    // It ran out at this moment, or another change of it was first: looked at again.
    if (body.outcome === 'refused') return { kind: 'moved-on' };
    return this.#denied(caller, body, lines, unitsOf(record, hold));
  }

  async #denied(
    caller: Caller,
    denial: Denied,
    lines: readonly SessionLine[],
    held: ReadonlyMap<string, number>,
  ): Promise<
    | { readonly kind: 'denied'; readonly remarks: readonly Remark[]; readonly isNothingThere: boolean }
    | Extract<DeskAnswer, { kind: 'unknown-item' }>
  > {
    const named = lines.findIndex(({ sku }) => sku === denial.sku);
    if (denial.code === 'UNKNOWN_SKU' && named !== -1)
      return { kind: 'unknown-item', line: named, sku: denial.sku };
    const told = await this.#told(caller, lines, held);
    const remarks = told.flatMap((line, index): Remark[] => {
      const isNamed = line.sku === denial.sku;
      const available = isNamed ? denial.available : (line.available ?? 0);
      if (!isNamed && available >= line.quantity) return [];
      const reason = available <= 0 ? 'sold-out' : 'too-many';
      const isLimit = isNamed && (denial.code === 'AGENT_LIMIT' || denial.code === 'POOL_LIMIT');
      const text = isNamed
        ? denial.message
        : `asked for ${line.quantity} of ${line.sku}; ${available} could be had`;
      return [{ kind: 'error', reason: isLimit ? 'limit' : reason, line: index, text }];
    });
    // A component of a bundle that no line names by itself.
    if (remarks.length === 0) remarks.push({ kind: 'error', reason: 'sold-out', text: denial.message });
    const isNothingThere = told.every(({ available, sku }) =>
      sku === denial.sku ? denial.available <= 0 : (available ?? 0) <= 0,
    );
    return { kind: 'denied', remarks, isNothingThere };
  }

  #ttlSeconds({ kind }: SessionForm): number {
    const { cart, checkout } = this.#parts.stages;
    const ttlMs = kind === 'cart' ? cart.defaultTtlMs : Math.min(checkoutTtlMs, checkout.maxTtlMs);
    return Math.max(1, Math.floor(ttlMs / 1_000));
  }

  async #load(caller: Caller, form: SessionForm, id: string): Promise<Loaded | undefined> {
    if (!mayTouch(caller, id) || !isOfForm(id, form)) return undefined;
    let loaded: Loaded | undefined;
    for (let attempt = 1; attempt <= maxTries; attempt++) {
      loaded = await this.#loadOnce(caller, id);
      // Its holds were read one after the other: one may have taken the place of another in between.
      if (loaded?.hold?.state !== 'released' || loaded.record.isCanceled) return loaded;
    }
    return loaded;
  }

  async #loadOnce(caller: Caller, id: string): Promise<Loaded | undefined> {
    const kept = await this.#parts.store.one(id);
    if (kept === undefined) return undefined;
    const record = sessionRecord.parse(JSON.parse(kept.content));
    let newest: { hold: HoldAnswer; lines: readonly SessionLine[] } | undefined;
    for (const { holdId, lines } of record.holds.toReversed()) {
      const { body } = await this.#parts.service.get(caller, holdId);
      if (!('lines' in body)) continue;
      newest ??= { hold: body, lines };
      // At most one of them has not been given back: that one is what is held, or was bought.
      if (body.state !== 'released') {
        newest = { hold: body, lines };
        break;
      }
    }
    const isOver = record.createdMs + maxLifeMs <= this.#parts.nowMs();
    return {
      id,
      kept,
      record,
      hold: newest?.hold,
      lines: newest?.lines ?? record.asked,
      phase: phaseOf(record, newest?.hold, isOver),
    };
  }

  /** Applies a change to what is kept as it is by then. */
  async #write(
    caller: Caller,
    form: SessionForm,
    id: string,
    change: (now: Loaded) => SessionRecord,
  ): Promise<void> {
    for (let attempt = 1; attempt <= maxTries; attempt++) {
      const now = await this.#load(caller, form, id);
      if (now === undefined) return;
      const next = { ...change(now), changedMs: this.#parts.nowMs() };
      if (await this.#put(id, now.kept.version, next)) return;
    }
  }

  /** Over the version that was read; false: it was changed meanwhile. */
  async #put(id: string, version: number, record: SessionRecord): Promise<boolean> {
    return (await this.#parts.store.put(id, version, JSON.stringify(record))) === 'kept';
  }

  async #view(caller: Caller, loaded: Loaded, more: readonly Remark[] = []): Promise<SessionView> {
    const { id, record, hold, lines, phase } = loaded;
    const isLive = phase === 'held' || (phase === 'unmet' && hold !== undefined);
    const told = await this.#told(caller, lines, isLive ? unitsOf(record, hold) : new Map());
    const remarks = [...(phase === 'unmet' ? record.unmet : []), ...more];
    if (phase === 'held') {
      for (const [index, { status, sku }] of told.entries())
        if (status === 'low_stock')
          remarks.push({
            kind: 'warning',
            reason: 'low-stock',
            line: index,
            text: `only few of ${sku} are left`,
          });
    }
    if (phase === 'expired' && more.length === 0)
      remarks.push({
        kind: 'error',
        reason: 'expired',
        text: 'the units are no longer held for this session',
      });
    return {
      id,
      phase,
      lines: told,
      remarks,
      hold,
      permalinkUrl: record.permalinkUrl,
      createdMs: record.createdMs,
      changedMs: record.changedMs,
    };
  }

  /** What is left for others, and what is held here, is what this buyer may have. */
  async #told(
    caller: Caller,
    lines: readonly SessionLine[],
    held: ReadonlyMap<string, number>,
  ): Promise<readonly ToldLine[]> {
    const skus = [...new Set(lines.map(({ sku }) => sku))];
    // The copy may not have heard of this session's own hold yet: its units would be counted twice.
    const { body } = await this.#parts.service.availability(caller, { sku: skus, fresh: 'true' });
    const bySku = new Map(body.items.map((item) => [item.sku, item]));
    return lines.map((line) => {
      const item = bySku.get(line.sku);
      const own = held.get(line.sku) ?? 0;
      const status: ToldStatus = item?.status ?? 'unknown';
      // The last units are held here: for this buyer they are there.
      const isHere = status === 'in_stock' || status === 'low_stock';
      return {
        ...line,
        status: own > 0 && !isHere ? 'low_stock' : status,
        available: item?.available === undefined || item.available === null ? null : item.available + own,
      };
    });
  }
}

function phaseOf(
  { isCanceled, unmet }: SessionRecord,
  hold: HoldAnswer | undefined,
  isOver: boolean,
): SessionView['phase'] {
  if (hold?.state === 'committed') return 'completed';
  if (isCanceled || hold?.state === 'released') return 'canceled';
  if (isOver || hold?.state === 'expired') return 'expired';
  return hold === undefined || unmet.length > 0 ? 'unmet' : 'held';
}

/** Of the lines as they were asked: bundles are held as their components. */
function unitsOf({ holds }: SessionRecord, hold: HoldAnswer | undefined): ReadonlyMap<string, number> {
  const units = new Map<string, number>();
  for (const { sku, quantity } of holds.find(({ holdId }) => holdId === hold?.hold_id)?.lines ?? [])
    units.set(sku, (units.get(sku) ?? 0) + quantity);
  return units;
}

function plain({ sku, quantity }: AskedLine): { sku: string; quantity: number } {
  return { sku, quantity };
}

function inner(key: string | undefined, id: string): string | undefined {
  return key === undefined ? undefined : `${id} ${key}`;
}

function refusalRemarks(
  { code, message, denial }: Refused,
  lines: readonly SessionLine[],
): readonly Remark[] {
  if (denial !== undefined) {
    const at = lines.findIndex(({ sku }) => sku === denial.sku);
    const reason = denial.available > 0 ? 'too-many' : 'sold-out';
    return [{ kind: 'error', reason, text: denial.message, ...(at === -1 ? {} : { line: at }) }];
  }
  const reason = code === 'HOLD_EXPIRED' ? 'expired' : code === 'SESSION_LIMIT' ? 'limit' : 'refused';
  return [{ kind: 'error', reason, text: message }];
}
