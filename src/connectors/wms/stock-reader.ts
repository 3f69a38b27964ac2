import type { CountPage, CountWant } from '../counts.ts';
import { PlatformClock } from '../platform-clock.ts';
import type { Clock } from '../ports.ts';
import type { ApiAnswer, WmsApi } from './api.ts';
import { changesReader, newestOf, noRows } from './changes.ts';
import { CountMapper } from './count-rows.ts';
import { compilePath } from './json-path.ts';
import { writeMoment } from './moments.ts';
import type { ChangeReading, HttpConnection, Reading } from './options.ts';
import { pageSizeOf } from './full-read.ts';
import { guardsOf } from './guards.ts';
import { type SourcePage, pagesOf, requestFor } from './pages.ts';
import { type ReadingState, readCursor, writeCursor } from './reading-cursor.ts';
import { SeenChanges } from './seen-changes.ts';
import { Tally } from './tally.ts';
import type { TemplateValues } from './template.ts';
import { WholeReading, tooMany } from './whole-reading.ts';

const defaultSnapshotEveryMs = 3_600_000;
const dayMs = 86_400_000;

/**
 * Reads a declared source.
 *
 *   no cursor, or the last snapshot is too old --> whole snapshot, gathered and judged before any of it is given
 *   otherwise, where the source can say what changed --> changes since the last reading, page by page
 *
 * The moment from which the next changes are read is taken before the snapshot's first request.
 *
 * Who only compares counts (`compare`) needs no judgement before the first row, only one at the end: pages are given as
 * they are read, and nothing of them is kept.
 */
export class StockReader {
  readonly #source: HttpConnection;
  readonly #api: WmsApi;
  readonly #clock: Clock;
  readonly #sourceClock: PlatformClock;
  readonly #seen: SeenChanges;
  /** The cursor at the end of the last reading of changes. */
  #givenCursor: string | undefined;
  #snapshotCost: number | undefined;

  constructor(source: HttpConnection, api: WmsApi, clock: Clock) {
    this.#source = source;
    this.#api = api;
    this.#clock = clock;
    this.#sourceClock = new PlatformClock(clock);
    const increment = source.changes?.increment;
    this.#seen = new SeenChanges(increment?.kind === 'since-time' ? increment.overlapMs * 2 : dayMs);
  }

  async *poll(cursor: string | null, signal: AbortSignal, want?: CountWant): AsyncGenerator<CountPage> {
    const { changes, snapshotEveryMs = defaultSnapshotEveryMs } = this.#source;
    const state = readCursor(cursor);
    const nowMs = this.#clock.nowMs();
    const isDue =
      state === undefined ||
      want === 'all' ||
      (want === undefined && !isBetween(nowMs, state.snapshotAtMs, snapshotEveryMs));
    if (changes === undefined) yield await this.#snapshot(undefined, nowMs, signal);
    else if (isDue) yield await this.#snapshot(await this.#startOf(changes, state, signal), nowMs, signal);
    else {
      // Another cursor than the last one given: what came with it was not applied, or was lost again.
      if (cursor !== this.#givenCursor) this.#seen.clear();
      this.#givenCursor = undefined;
      yield* this.#changes(changes, state, signal);
    }
  }

  /** By what the last snapshot cost: credits where the source counts them, else requests. */
  isAllCheaper(items: number): boolean {
    const { lookup } = this.#source;
    if (lookup === undefined || this.#snapshotCost === undefined) return false;
    const requests = Math.ceil(items / lookup.batchSize);
    return this.#snapshotCost < requests * this.#costOf(pageSizeOf(lookup.paging));
  }

  /** Fresh counts of single items. */
  async fetch(itemIds: readonly string[], signal: AbortSignal): Promise<CountPage> {
    const { lookup } = this.#source;
    if (lookup === undefined) throw new Error('the source has no lookup');
    const tally = new Tally(lookup.map.duplicates ?? 'reject');
    for (let start = 0; start < itemIds.length; start += lookup.batchSize) {
      const items = itemIds.slice(start, start + lookup.batchSize);
      await this.#gather(lookup, tally, { items, item: items[0] ?? null }, signal);
    }
    return { ...noRows, kind: 'changes', source: 'items', ...tally.result() };
  }

  /** One request of the snapshot, to see whether the source lets us in. */
  async probe(signal: AbortSignal): Promise<void> {
    const { request, paging, places } = this.#source.snapshot;
    const size = 'size' in paging ? 1 : 0;
    const values: TemplateValues = {
      size,
      page: paging.kind === 'page' ? paging.first : 1,
      offset: 0,
      cursor: null,
      since: null,
      until: null,
      place: places?.[0] ?? null,
    };
    const { baseUrl, headers = {} } = this.#source;
    const probe = requestFor({ baseUrl, headers, operation: 'access', request }, values, 1);
    this.#learnClock(await this.#api.read(probe, signal));
  }

  /**
   * Everything, page by page: memory for one page. A row that moved over a page's border comes twice, the later look
   * counts; what speaks against the whole comes last, as a held page. Lots that are summed are known at the end only.
   */
  async *compare(signal: AbortSignal): AsyncGenerator<CountPage> {
    const { snapshot, guards } = this.#source;
    const nowMs = this.#clock.nowMs();
    if (snapshot.map.duplicates === 'sum') {
      yield await this.#snapshot(undefined, nowMs, signal);
      return;
    }
    const whole = new WholeReading();
    const mapper = new CountMapper(snapshot.map, snapshot.each);
    for await (const { page, place } of this.#places(snapshot, { since: null, until: null }, signal)) {
      const tally = new Tally('reject');
      this.#add(tally, mapper, page, place);
      const { counts, parked } = tally.result();
      whole.pages++;
      whole.add(tally, counts);
      yield { ...noRows, kind: 'changes', source: 'stock', counts, parked };
    }
    this.#snapshotCost = whole.pages * this.#costOf(pageSizeOf(snapshot.paging));
    const reason = whole.flaw(guards, nowMs);
    if (reason !== undefined) yield { kind: 'held', source: 'stock', reason, parked: [] };
  }

  async #snapshot(since: string | undefined, nowMs: number, signal: AbortSignal): Promise<CountPage> {
    const { snapshot, guards, zeroMissingAfter } = this.#source;
    const tally = new Tally(snapshot.map.duplicates ?? 'reject');
    const pages = await this.#gather(snapshot, tally, { since: null, until: null }, signal);
    this.#snapshotCost = pages * this.#costOf(pageSizeOf(snapshot.paging));
    const { counts, parked } = tally.result();
    const whole = new WholeReading();
    whole.add(tally, counts);
    const reason = whole.flaw(guards, nowMs);
    if (reason !== undefined) return { kind: 'held', source: 'stock', reason, parked };
    return {
      ...noRows,
      kind: 'snapshot',
      source: 'stock',
      counts,
      parked,
      guards: guardsOf(guards),
      zeroMissingAfter,
      cursor: writeCursor({ since: this.#notAhead(since, nowMs), snapshotAtMs: nowMs }),
    };
  }

  /** Answers how many pages it took. */
  async #gather(
    reading: Reading,
    tally: Tally,
    values: TemplateValues,
    signal: AbortSignal,
  ): Promise<number> {
    const mapper = new CountMapper(reading.map, reading.each);
    let pages = 0;
    for await (const { page, place } of this.#places(reading, values, signal)) {
      this.#add(tally, mapper, page, place);
      pages++;
    }
    return pages;
  }

  /** The pages of every place that the source is asked for one by one. */
  async *#places(
    reading: Reading,
    values: TemplateValues,
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly page: SourcePage; readonly place: string | undefined }> {
    for (const place of reading.places ?? [undefined])
      for await (const page of this.#pages(reading, 'stock', { ...values, place: place ?? null }, signal))
        yield { page, place };
  }

  #costOf(rows: number): number {
    return this.#source.limits?.kind === 'credits' ? 1 + rows : 1;
  }

  #add(tally: Tally, mapper: CountMapper, { rows, answer }: SourcePage, place: string | undefined): void {
    const askedAtMs = answer.askedAtMs - (this.#source.readLagMs ?? 0);
    tally.nextLook();
    for (const row of rows) for (const mapped of mapper.map(row, { askedAtMs, place })) tally.add(mapped);
    if (tally.isFull) throw tooMany(tally.rows);
  }

  async *#changes(
    changes: ChangeReading,
    state: ReadingState,
    signal: AbortSignal,
  ): AsyncGenerator<CountPage> {
    const startMs = this.#clock.nowMs();
    const rowsOf = changesReader(changes, (key) => this.#seen.isNew(key, startMs));
    let since = state.since;
    let newestId = since;
    for await (const page of this.#pages(
      changes,
      'changes',
      this.#span(changes, state.since, startMs),
      signal,
    )) {
      const askedAtMs = page.answer.askedAtMs - (this.#source.readLagMs ?? 0);
      if (changes.increment.kind === 'since-id')
        newestId = newestOf(page.rows, changes.increment.path, newestId);
      yield { ...noRows, kind: 'changes', source: 'changes', ...rowsOf(page.rows, askedAtMs) };
    }
    if (changes.increment.kind === 'since-time') since = String(this.#sourceClock.at(startMs));
    else if (changes.increment.kind === 'since-id') since = newestId;
    const cursor = writeCursor({ since, snapshotAtMs: state.snapshotAtMs });
    this.#givenCursor = cursor;
    yield { ...noRows, kind: 'changes', source: 'changes', cursor };
  }

  /** From where changes are read after a snapshot that begins now. */
  async #startOf(
    changes: ChangeReading,
    state: ReadingState | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { increment } = changes;
    if (increment.kind === 'acknowledged') return undefined;
    if (increment.kind === 'since-time') {
      // The source's clock is known only from an answer of it.
      if (!this.#sourceClock.isKnown) await this.probe(signal);
      return String(this.#sourceClock.nowMs());
    }
    // What the ids before say is in the snapshot; only the last of them is wanted.
    let newest = state?.since ?? '0';
    const values: TemplateValues = { since: newest, until: null, place: null };
    for await (const page of this.#pages(changes, 'changes', values, signal)) {
      newest = newestOf(page.rows, increment.path, newest) ?? newest;
    }
    return newest;
  }

  /** Our clock may have been set since the source's was last compared with it; the snapshot's answers have told. */
  #notAhead(since: string | undefined, startMs: number): string | undefined {
    if (since === undefined || this.#source.changes?.increment.kind !== 'since-time') return since;
    return String(Math.min(Number(since), this.#sourceClock.at(startMs)));
  }

  #learnClock({ headers, askedAtMs }: ApiAnswer): void {
    this.#sourceClock.learn(headers['date'], askedAtMs, this.#clock.nowMs());
  }

  #span({ increment }: ChangeReading, since: string | undefined, nowMs: number): TemplateValues {
    if (increment.kind === 'since-time') {
      const fromMs = Number(since ?? 0) - increment.overlapMs;
      const until = writeMoment(this.#sourceClock.at(nowMs), increment.moment);
      return { since: writeMoment(Math.max(0, fromMs), increment.moment), until, place: null };
    }
    if (increment.kind === 'acknowledged') return { since: null, until: null, place: null };
    const from = BigInt(since ?? '0') - BigInt(increment.overlap);
    return { since: String(from < 0n ? 0n : from), until: null, place: null };
  }

  async *#pages(
    reading: Pick<Reading, 'request' | 'paging' | 'rows'>,
    operation: string,
    values: TemplateValues,
    signal: AbortSignal,
  ): AsyncGenerator<SourcePage> {
    const { baseUrl, headers = {} } = this.#source;
    const { request, paging } = reading;
    const source = {
      api: this.#api,
      baseUrl,
      headers,
      operation,
      request,
      paging,
      rows: compilePath(reading.rows),
    };
    for await (const page of pagesOf(source, values, signal)) {
      this.#learnClock(page.answer);
      yield page;
    }
  }
}

/** Our clock may have been set back since. */
function isBetween(nowMs: number, fromMs: number, forMs: number): boolean {
  return nowMs >= fromMs && nowMs - fromMs < forMs;
}
