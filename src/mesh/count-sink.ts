// Long on purpose: every rule for believing a count of one authority, in the order they apply.
import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import type { CountPage, CountRows, PlatformMovement } from '../connectors/counts.ts';
import type { ParkedRow } from '../connectors/parked-row.ts';
import { defaultCountGuards, judgeSnapshot } from '../domain/count-guard.ts';
import { StockmeshError } from '../domain/errors.ts';
import { type LocationId, type Sku, maxReferenceBytes } from '../domain/ids.ts';
import type { Ledger, MeshState } from '../ledger/contract.ts';
import type { ChannelSettings } from './channel.ts';
import { ClockOffset } from './clock-offset.ts';
import { type OwnedCount, type OwnedLocation, ownCounts, ownPlace } from './count-rows.ts';
import type { OrderSink } from './order-sink.ts';
import { allParked, parkedRowId } from './parked-rows.ts';

export interface CountSinkOptions {
  readonly settings: ChannelSettings;
  /** Locations whose on-hand authority is this channel. Rows of any other location are refused. */
  readonly owned: ReadonlyMap<LocationId, OwnedLocation>;
  readonly ledger: Pick<Ledger, 'applyCount' | 'adjust' | 'peek' | 'nowMs'>;
  readonly mesh: Pick<MeshState, 'cursor' | 'moveCursor' | 'parked' | 'unpark'>;
  readonly sink: Pick<OrderSink, 'parkRows'>;
  readonly log: Logger;
  /** The clock that the connector dates counts by. */
  readonly nowMs: () => number;
  /** SKUs with units on hand at a location, for `zeroMissingAfter`; absent: nothing missing is ever zeroed. */
  readonly stocked?: ((location: LocationId) => Iterable<Sku>) | undefined;
  /** Movements closer to a count than this cannot be put in order with it. */
  readonly skewMs?: number | undefined;
}

export interface AppliedCounts {
  readonly kind: 'applied' | 'held';
  readonly reason?: string | undefined;
  readonly counted: number;
  /** Counts and movements that changed the ledger. */
  readonly changed: number;
  readonly stale: number;
  readonly parked: number;
  /** Items whose figure can only be told by asking once more, later. */
  readonly again: readonly string[];
}

const atOnce = 32;
const skusPerPeek = 200;
/** More bad rows than this are one row saying how many. */
const maxParkedPerPage = 200;
const defaultSkewMs = 2_000;

/**
 * Where an on-hand authority's counts and movements enter the ledger. Each is one command with an operation id made from
 * its content, so a page may come again after any crash. Order is the ledger's: by the moment a count is true for, and by
 * the source's version where it has one; a row the ledger cannot place in time is asked for once more.
 *
 * A snapshot is judged against the ledger before its first row is applied, and applied as a whole or not at all.
 */
export class CountSink {
  readonly #options: CountSinkOptions;
  readonly #skewMs: number;
  readonly #offset: ClockOffset;
  /** The one place of the WMS that each location of ours has been counted at. */
  readonly #places = new Map<LocationId, string>();
  /** What the source calls a SKU, from its last count. */
  readonly #items = new Map<Sku, string>();
  /** Complete snapshots in a row that did not name the SKU. Lost on restart: it is then zeroed later, never sooner. */
  #missing = new Map<string, number>();

  constructor(options: CountSinkOptions) {
    this.#options = options;
    this.#skewMs = options.skewMs ?? defaultSkewMs;
    this.#offset = new ClockOffset(() => options.ledger.nowMs(), options.nowMs);
  }

  /** The item that the SKU was last counted under; undefined: not since this process began. */
  itemOf(sku: Sku): string | undefined {
    return this.#items.get(sku);
  }

  get skewMs(): number {
    return this.#skewMs;
  }

  /** Throws when the ledger cannot be asked, or between two rows when aborted; the same page may then come again. */
  apply(page: CountPage, signal?: AbortSignal): Promise<AppliedCounts> {
    return page.kind === 'held' ? this.#hold(page, page.reason) : this.#applyRows(page, signal);
  }

  async #applyRows(page: CountRows, signal: AbortSignal | undefined): Promise<AppliedCounts> {
    const { settings, owned } = this.#options;
    const read = ownCounts(page, {
      settings,
      owned,
      places: this.#places,
      clockMs: this.#offset.ms(),
    });
    if (read.conflict !== undefined) return this.#hold(page, read.conflict);
    const counts = [...read.counts];
    for (const { sku, itemId } of counts) this.#items.set(sku, itemId);
    if (page.kind === 'snapshot') {
      const reason = await this.#judge(page, counts);
      if (reason !== undefined) return this.#hold(page, reason);
      counts.push(...this.#zeroed(page, counts));
    }
    const parked: ParkedRow[] = [...page.parked, ...read.parked];
    const total = { counted: 0, changed: 0, stale: 0 };
    const again = new Set<string>();
    await inBatches(page.movements, signal, async (movement) => {
      const problem = await orParked(this.#move(movement), movement.movementId, movement);
      if (problem === undefined) total.changed++;
      else parked.push(problem);
    });
    await inBatches(counts, signal, async (count) => {
      const outcome = await orParked(this.#count(count), `${count.sku}@${count.location}`, count);
      if (!('kind' in outcome)) parked.push(outcome);
      else if (outcome.kind === 'counted') {
        total.counted++;
        if (outcome.isChange) total.changed++;
      } else if (outcome.kind === 'stale') {
        total.stale++;
        // It may have been late, or only dated so: where a single item can be asked for again, it is.
        if (page.kind === 'changes' && page.isOnce !== true) again.add(count.itemId);
      } else if (outcome.kind === 'refused') parked.push(outcome.row);
      else if (page.isOnce === true) parked.push(unplaced(count));
      else again.add(count.itemId);
    });
    await this.#park(parked);
    if (page.kind === 'snapshot') await this.#snapshotApplied(page, parked);
    return { kind: 'applied', ...total, parked: parked.length, again: [...again] };
  }

  /** Why the snapshot may not be applied; undefined when it may. */
  async #judge(page: CountRows, counts: readonly OwnedCount[]): Promise<string | undefined> {
    const { ledger, mesh } = this.#options;
    let stockedRows = 0;
    let zeroedRows = 0;
    for (let start = 0; start < counts.length; start += skusPerPeek) {
      const rows = counts.slice(start, start + skusPerPeek);
      const { levels } = await ledger.peek([...new Set(rows.map(({ sku }) => sku))]);
      for (const { sku, location, onHand } of rows) {
        const level = levels.get(sku)?.get(location);
        if (level === undefined || level.onHand - level.committed - level.reserved <= 0) continue;
        stockedRows++;
        if (onHand <= 0) zeroedRows++;
      }
    }
    const before = await mesh.cursor(this.#rowsName(page));
    const rowsBefore = before === null ? undefined : Number(before);
    // Rows that are parked or elsewhere were in the reading all the same.
    const facts = { rows: page.counts.length, rowsBefore, stockedRows, zeroedRows };
    const verdict = judgeSnapshot(facts, page.guards ?? defaultCountGuards);
    return verdict.kind === 'held' ? verdict.reason : undefined;
  }

  /** SKUs that so many complete snapshots in a row left out, as counts of zero. */
  #zeroed(page: CountRows, counts: readonly OwnedCount[]): readonly OwnedCount[] {
    const { stocked, owned } = this.#options;
    if (stocked === undefined || page.zeroMissingAfter === undefined) return [];
    const present = new Set(counts.map(({ sku, location }) => `${location}\u001f${sku}`));
    const missing = new Map<string, number>();
    const zeroed: OwnedCount[] = [];
    // True for the earliest moment of the reading: the row was not there then.
    const asOfMs = counts.reduce((first, count) => Math.min(first, count.asOfMs), Number.POSITIVE_INFINITY);
    for (const [location, { pickLagMs }] of owned) {
      // A location none of whose rows came was not read at all.
      if (!counts.some((count) => count.location === location)) continue;
      for (const sku of stocked(location)) {
        const key = `${location}\u001f${sku}`;
        if (present.has(key)) continue;
        const times = (this.#missing.get(key) ?? 0) + 1;
        missing.set(key, times);
        if (times < page.zeroMissingAfter) continue;
        zeroed.push({
          itemId: sku,
          sku,
          location,
          place: '',
          onHand: 0,
          asOfMs,
          pickLagMs,
          version: undefined,
        });
      }
    }
    this.#missing = missing;
    return zeroed;
  }

  async #count(
    count: OwnedCount,
  ): Promise<
    | { readonly kind: 'counted'; readonly isChange: boolean }
    | { readonly kind: 'stale' }
    | { readonly kind: 'ask-again' }
    | { readonly kind: 'refused'; readonly row: ParkedRow }
  > {
    const { ledger, mesh, settings } = this.#options;
    const { sku, location, onHand, asOfMs, version } = count;
    const versionName = `version:${settings.id}:${digest(location, sku)}`;
    if (version !== undefined && isOlder(version, await mesh.cursor(versionName))) return { kind: 'stale' };
    const result = await ledger.applyCount({
      operationId: `count:${digest(settings.id, location, sku, String(asOfMs), String(onHand), version ?? '')}`,
      sku,
      location,
      onHand,
      asOfMs,
      pickLagMs: count.pickLagMs,
      skewMs: this.#skewMs,
      source: settings.id,
      actor: settings.id,
    });
    switch (result.kind) {
      case 'counted':
        if (version !== undefined) await mesh.moveCursor(versionName, version, 'number');
        return {
          kind: 'counted',
          isChange: !result.repeated && (result.delta !== 0 || result.closedShipping > 0),
        };
      case 'stale':
        return { kind: 'stale' };
      case 'ask-again':
        return { kind: 'ask-again' };
      case 'fingerprint-mismatch':
        return {
          kind: 'refused',
          row: {
            what: 'count',
            reference: `${sku}@${location}`,
            reason: 'another count was applied under the same operation',
            content: JSON.stringify({ sku, location, onHand, asOfMs }),
          },
        };
    }
  }

  async #move(movement: PlatformMovement): Promise<ParkedRow | undefined> {
    const { ledger, settings, owned } = this.#options;
    const found = ownPlace(movement, settings, owned);
    if (found.kind === 'bad') return found.row;
    const result = await ledger.adjust({
      operationId: `moved:${digest(settings.id, movement.movementId)}`,
      movement: movement.kind,
      sku: found.sku,
      location: found.location,
      units: movement.units,
      // As the source says it: an estimate of the clocks' difference would make each repeat another movement.
      effectiveAtMs: movement.effectiveAtMs,
      reference: tellable(movement.reference),
      reason: tellable(movement.reason),
      actor: settings.id,
    });
    if (result.kind === 'adjusted') return undefined;
    return {
      what: 'count',
      reference: movement.movementId.slice(0, 200),
      reason: 'the movement was applied before with other content',
      content: JSON.stringify(movement).slice(0, 2_000),
    };
  }

  async #hold(page: CountPage, reason: string): Promise<AppliedCounts> {
    const { settings, log } = this.#options;
    log.error(
      { channel: settings.id, source: page.source, reason },
      'counts are held: nothing of them is applied',
    );
    const content = JSON.stringify({
      source: page.source,
      rows: page.kind === 'held' ? 0 : page.counts.length,
    });
    await this.#park([...page.parked, { what: 'count', reference: page.source, reason, content }]);
    return {
      kind: 'held',
      reason,
      counted: 0,
      changed: 0,
      stale: 0,
      parked: page.parked.length + 1,
      again: [],
    };
  }

  async #park(rows: readonly ParkedRow[]): Promise<void> {
    const { sink, settings } = this.#options;
    if (rows.length <= maxParkedPerPage) return sink.parkRows(settings.id, rows);
    await sink.parkRows(settings.id, [
      ...rows.slice(0, maxParkedPerPage),
      {
        what: 'count',
        reference: 'rows-not-listed',
        reason: `${rows.length - maxParkedPerPage} more rows of one reading cannot be used`,
        content: '{}',
      },
    ]);
  }

  /** What this snapshot no longer complains about is over. */
  async #snapshotApplied(page: CountRows, parked: readonly ParkedRow[]): Promise<void> {
    const { mesh, settings } = this.#options;
    await mesh.moveCursor(this.#rowsName(page), String(page.counts.length), 'opaque');
    const still = new Set(parked.map((row) => parkedRowId(settings.id, row)));
    if (parked.length > maxParkedPerPage) return;
    const over: string[] = [];
    for await (const entry of allParked(mesh)) {
      if (entry.channel === settings.id && entry.what === 'count' && !still.has(entry.id))
        over.push(entry.id);
    }
    for (const id of over) await mesh.unpark(id);
  }

  #rowsName({ source }: CountRows): string {
    return `count-rows:${this.#options.settings.id}:${digest(source)}`;
  }
}

/** What the ledger refuses because of the row itself is that row's fault alone; the rest is tried again. */
async function orParked<Result>(
  applying: Promise<Result>,
  reference: string,
  row: object,
): Promise<Result | ParkedRow> {
  try {
    return await applying;
  } catch (error) {
    const isRows =
      error instanceof StockmeshError &&
      (error.code === 'LEDGER_REQUEST_INVALID' || error.code === 'LEDGER_QUANTITY_OVERFLOW');
    if (!isRows) throw error;
    const content = JSON.stringify(row).slice(0, 2_000);
    return { what: 'count', reference: reference.slice(0, 200), reason: error.message, content };
  }
}

/** A clerk's words are kept as far as the log can hold them: they decide nothing. */
function tellable(text: string): string {
  // eslint-disable-next-line no-control-regex -- what separates the fields of an entry may not be in one
  let kept = text.replace(/[\u0000-\u001f]+/g, ' ').slice(0, maxReferenceBytes);
  while (Buffer.byteLength(kept) > maxReferenceBytes) kept = kept.slice(0, -1);
  // Half a character is none.
  return kept.replace(/[\ud800-\udbff]$/, '');
}

function unplaced({ sku, location, onHand, asOfMs }: OwnedCount): ParkedRow {
  return {
    what: 'count',
    reference: `${sku}@${location}`,
    reason: 'other movements of the place are too close to the moment of this count: count it again',
    content: JSON.stringify({ sku, location, onHand, asOfMs }),
  };
}

async function inBatches<Row>(
  rows: readonly Row[],
  signal: AbortSignal | undefined,
  each: (row: Row) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < rows.length; start += atOnce) {
    signal?.throwIfAborted();
    await Promise.all(rows.slice(start, start + atOnce).map(each));
  }
}

function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\u001f')).digest('hex').slice(0, 40);
}

/** Versions are digits of any length: compared by length, then by text. */
function isOlder(version: string, applied: string | null): boolean {
  if (applied === null || version === applied) return false;
  return version.length === applied.length ? version < applied : version.length < applied.length;
}
