import type { Logger } from 'pino';
import type { AvailabilityStatus } from '../../domain/availability-status.ts';
import type { Sku } from '../../domain/ids.ts';
import type { Movement } from '../../domain/movement.ts';
import type { Position } from '../../ledger/contract.ts';
import type { BookedNotice, NoticeCommands } from '../../ledger/notice-commands.ts';
import { comparePositions, formatPosition } from '../../ledger/position.ts';
import type { LogHistory } from '../fan-out.ts';
import { crossingNotice, holdEndNotice, holdEndsIn, skippedNotice, wholeLength } from './notice.ts';

/** What the daemon knows of availability, true for `position` or later. */
export interface AvailabilityView {
  readonly position: Position;
  skus(): Iterable<Sku>;
  statusOf(sku: Sku): AvailabilityStatus;
  availableOf(sku: Sku): number;
  bundlesWith(sku: Sku): readonly Sku[];
}

export interface NoticeFollowerOptions {
  readonly commands: Pick<NoticeCommands, 'book' | 'place' | 'statuses'>;
  readonly history: LogHistory;
  readonly view: AvailabilityView;
  readonly nowMs: () => number;
  readonly log: Logger;
  readonly pageEntries?: number | undefined;
}

const defaultPageEntries = 1_000;
const statusesPerCall = 1_000;

/**
 * Turns the log into notices, from a place that all daemons share.
 *
 *   no place --statuses of every SKU noted--> place at the projection's position: nothing before it is told
 *   place --page of the log--> booked: notices, statuses and place in one call
 *   place --the place moved meanwhile--> another daemon follows: its statuses and place are read anew
 *   place --log trimmed past it--> `notices.skipped` is booked, place at what the log still has
 *
 * A crossing is judged by what the daemon knows now against what was last told, so a SKU that came back in between is not
 * told, and one that was missed in whatever way is told at its next movement.
 */
export class NoticeFollower {
  readonly #options: NoticeFollowerOptions;
  readonly #pageEntries: number;
  #told: Map<Sku, string> | undefined;
  #place: Position | undefined;

  constructor(options: NoticeFollowerOptions) {
    this.#options = options;
    this.#pageEntries = options.pageEntries ?? defaultPageEntries;
  }

  /** One step. `behind`: there may be more at once; `full`: the outbox has to be emptied first. */
  async step(): Promise<'behind' | 'level' | 'full'> {
    const { commands } = this.#options;
    if (this.#told === undefined) {
      // The place first: statuses that are newer than it are only told less, never twice.
      this.#place = await commands.place();
      this.#told = await commands.statuses();
    }
    if (this.#place === undefined) return this.#begin(this.#told);
    return this.#page(this.#place, this.#told);
  }

  /** After the lease was lost and won again. */
  forget(): void {
    this.#told = undefined;
  }

  async #begin(told: Map<Sku, string>): Promise<'behind' | 'level' | 'full'> {
    const { view, log } = this.#options;
    const at = view.position;
    const statuses = [...view.skus()].map((sku) => [sku, view.statusOf(sku)] as const);
    for (let from = 0; from < statuses.length; from += statusesPerCall) {
      const part = statuses.slice(from, from + statusesPerCall);
      const outcome = await this.#book(undefined, undefined, part, [], told);
      if (outcome !== 'booked') return this.#after(outcome);
    }
    const outcome = await this.#book(undefined, at, [], [], told);
    if (outcome === 'booked') log.info({ at: formatPosition(at) }, 'notices begin here');
    return this.#after(outcome);
  }

  async #page(place: Position, told: Map<Sku, string>): Promise<'behind' | 'level' | 'full'> {
    const { history, view } = this.#options;
    const slice = await history.after(place, this.#pageEntries);
    if (slice.kind === 'trimmed')
      return this.#skip(place, { ...slice.first, seq: slice.first.seq - 1 }, told);
    if (slice.entries.length === 0) return 'level';
    // What the projection has not seen yet would be judged by older levels, and never again.
    const known = slice.entries.filter((entry) => comparePositions(entry, view.position) <= 0);
    const isPageFull = slice.entries.length >= this.#pageEntries;
    const isCut = isPageFull || known.length < slice.entries.length;
    const whole = isCut ? wholeLength(known, known.length >= this.#pageEntries) : known.length;
    const entries = known.slice(0, whole);
    const last = entries.at(-1);
    if (last === undefined) return 'level';
    const changes = this.#crossings(entries, told);
    const notices = [...holdEndsIn(entries).map(holdEndNotice), ...changes.map(({ notice }) => notice)];
    const statuses = changes.flatMap(({ sku, status }) =>
      status === told.get(sku) ? [] : [[sku, status] as const],
    );
    const outcome = await this.#book(place, { epoch: last.epoch, seq: last.seq }, statuses, notices, told);
    return outcome === 'booked' && !isPageFull ? 'level' : this.#after(outcome);
  }

  #crossings(
    entries: readonly Movement[],
    told: ReadonlyMap<Sku, string>,
  ): readonly { readonly sku: Sku; readonly status: AvailabilityStatus; readonly notice: BookedNotice }[] {
    const { view } = this.#options;
    const changed = new Map<Sku, Movement>();
    for (const entry of entries) {
      if (entry.sku === '') continue;
      changed.set(entry.sku, entry);
      for (const bundle of view.bundlesWith(entry.sku)) changed.set(bundle, entry);
    }
    return [...changed].flatMap(([sku, { atMs }]) => {
      const to = view.statusOf(sku);
      // A SKU never heard of had nothing.
      const from = (told.get(sku) ?? 'out_of_stock') as AvailabilityStatus;
      if (from === to) return [];
      const change = { sku, from, to, available: view.availableOf(sku), position: view.position, atMs };
      return [{ sku, status: to, notice: crossingNotice(change) }];
    });
  }

  async #skip(place: Position, to: Position, told: Map<Sku, string>): Promise<'behind' | 'level' | 'full'> {
    const { log, nowMs } = this.#options;
    log.error(
      { place: formatPosition(place), to: formatPosition(to) },
      'notices were skipped: the log was trimmed',
    );
    return this.#after(await this.#book(place, to, [], [skippedNotice(place, to, nowMs())], told));
  }

  async #book(
    from: Position | undefined,
    to: Position | undefined,
    statuses: readonly (readonly [Sku, string])[],
    notices: readonly BookedNotice[],
    told: Map<Sku, string>,
  ): Promise<'booked' | 'moved-on' | 'full'> {
    const outcome = await this.#options.commands.book({ from, to, statuses, notices });
    if (outcome !== 'booked') return outcome;
    for (const [sku, status] of statuses) told.set(sku, status);
    if (to !== undefined) this.#place = to;
    return outcome;
  }

  #after(outcome: 'booked' | 'moved-on' | 'full'): 'behind' | 'full' {
    if (outcome === 'moved-on') this.#told = undefined;
    return outcome === 'full' ? 'full' : 'behind';
  }
}
