// Long on purpose: one state machine with what it keeps over restarts.
import type { Logger } from 'pino';
import { z } from 'zod';
import { type BlastLimits, type BlastRow, blastOf, judgeBlast, noBlast } from '../domain/blast-radius.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { MeshState } from '../ledger/contract.ts';
import { maxCursorBytes } from '../ledger/mesh-state.ts';
import type { Cause } from './pending-lanes.ts';

export interface GuardedRow extends BlastRow {
  readonly listingId: ListingId;
  readonly sku: string;
  readonly pending: { readonly seq: number; readonly cause?: Cause | undefined };
}

export interface HeldRow extends BlastRow {
  readonly listingId: ListingId;
  readonly sku: string;
}

export interface GuardView {
  readonly channel: ChannelId;
  /** Null: nothing is held. */
  readonly reason: string | null;
  readonly sinceMs: number | null;
  readonly heldListings: number;
  readonly zeroed: number;
  readonly movedUnits: number;
  readonly held: readonly HeldRow[];
}

export interface BlastGuardOptions {
  readonly channel: ChannelId;
  readonly limits: BlastLimits;
  readonly listings: () => number;
  readonly mesh: Pick<MeshState, 'cursor' | 'moveCursor'>;
  /** SKUs that the newest part of the log sold: asked only when a listing's cause was forgotten and it may matter. */
  readonly soldLately: () => Promise<ReadonlySet<string>>;
  readonly onChanged: (view: GuardView) => void;
  readonly log: Logger;
}

const stored = z.object({
  confirmedSeq: z.number(),
  tripped: z.object({ reason: z.string(), sinceMs: z.number() }).optional(),
  /** Listing -> when it passed, from, to. Beyond what there is room for only sums are kept: looked at twice then counts twice. */
  spent: z.record(z.string(), z.tuple([z.number(), z.number(), z.number()])).default({}),
  spentBefore: z.object({ atMs: z.number(), zeroed: z.number(), movedUnits: z.number() }).optional(),
  /** Listing -> SKU, from, to. */
  held: z.record(z.string(), z.tuple([z.string(), z.number(), z.number()])).default({}),
  isHeldCut: z.boolean().default(false),
  confirmed: z.array(z.string()).default([]),
});
type Known = z.output<typeof stored>;
type Stored = Pick<Known, 'confirmedSeq' | 'tripped'>;

interface Spent {
  readonly atMs: number;
  readonly row: BlastRow;
}

const maxShown = 1_000;
/** Listings whose part in a run is kept over restarts, where their ids leave room for so many. */
const maxKept = 5_000;

/**
 * Stops a run of changes that would do too much to a channel, until a person says that it is meant.
 *
 *   open --a look would exceed the limits--> tripped: rows of the run are held, sales go on
 *   tripped --confirmed--> open: everything held, and every change up to then, may go
 *   tripped --what is held fits the limits again (figures, policy or mapping were put right)--> open
 *
 * A look of the publisher is judged as a whole, with what passed in the window before it: one that would exceed the
 * limits passes nothing of the run. Which change a listing waits for is known in memory; after a restart the newest part
 * of the log tells which SKUs sold. That it tripped, what passed in the window, what is held and what was confirmed is
 * durable: a restart in the middle of a run neither begins its window anew nor lets it go for having forgotten a part.
 */
export class BlastGuard {
  readonly #options: BlastGuardOptions;
  /** By listing: looked at twice is not moved twice. */
  readonly #spent = new Map<ListingId, Spent>();
  readonly #held = new Map<ListingId, HeldRow>();
  readonly #confirmed = new Set<ListingId>();
  #state: Stored = { confirmedSeq: 0 };
  /** What passed before a restart and is no longer known by listing. */
  #spentBefore: Known['spentBefore'];
  #isHeldCut = false;
  /** Looks at sales alone, nearly all of them, change nothing here and store nothing. */
  #isChanged = false;
  #sold: ReadonlySet<string> | undefined;

  constructor(options: BlastGuardOptions) {
    this.#options = options;
  }

  async load(): Promise<void> {
    const text = await this.#options.mesh.cursor(this.#cursor);
    const known = text === null || text === '' ? undefined : stored.safeParse(JSON.parse(text)).data;
    if (known !== undefined) {
      const { confirmedSeq, tripped } = known;
      this.#state = { confirmedSeq, ...(tripped === undefined ? {} : { tripped }) };
      this.#spent.clear();
      for (const [listingId, [atMs, from, to]] of Object.entries(known.spent))
        this.#spent.set(listingId as ListingId, { atMs, row: { from, to } });
      this.#spentBefore = known.spentBefore;
      this.#held.clear();
      for (const [id, [sku, from, to]] of Object.entries(known.held))
        this.#held.set(id as ListingId, { listingId: id as ListingId, sku, from, to });
      this.#isHeldCut = known.isHeldCut;
      for (const listingId of known.confirmed) this.#confirmed.add(listingId as ListingId);
    }
    this.#tell();
  }

  view(limit = maxShown): GuardView {
    const { tripped } = this.#state;
    const held = [...this.#held.values()];
    return {
      channel: this.#options.channel,
      reason: tripped?.reason ?? null,
      sinceMs: tripped?.sinceMs ?? null,
      heldListings: held.length,
      ...blastOf(held),
      held: held.slice(0, limit),
    };
  }

  /** Which of the rows of one look may go. What passes is kept before it goes. */
  async judge<Row extends GuardedRow>(rows: readonly Row[]): Promise<ReadonlySet<Row>> {
    const passing = await this.#judgeLook(rows);
    await this.#store();
    return passing;
  }

  async #judgeLook<Row extends GuardedRow>(rows: readonly Row[]): Promise<ReadonlySet<Row>> {
    const run: Row[] = [];
    for (const row of rows) if (this.#isOfRun(row)) run.push(row);
    const passing = new Set(rows);
    if (run.length === 0) return passing;
    if (this.#state.tripped === undefined) {
      const reason = this.#excess(run);
      if (reason === undefined) return passing;
      if (run.some(({ pending }) => pending.cause === undefined)) {
        this.#sold ??= await this.#options.soldLately();
        const left = run.filter((row) => !this.#isSale(row));
        if (this.#excess(left) === undefined) return passing;
      }
      this.#isChanged = true;
      this.#state = { ...this.#state, tripped: { reason, sinceMs: Date.now() } };
      this.#options.log.error(
        { channel: this.#options.channel, reason },
        'a run of changes was stopped: see `stockmesh guard`',
      );
    } else {
      if (run.some(({ pending }) => pending.cause === undefined))
        this.#sold ??= await this.#options.soldLately();
      const left = run.filter((row) => !this.#isSale(row));
      if (this.#isPutRight(left)) {
        await this.#open();
        this.#excess(left);
        this.#tell();
        return passing;
      }
    }
    for (const row of run) {
      if (this.#isSale(row)) continue;
      passing.delete(row);
      this.#isChanged = true;
      const { listingId, sku, from, to } = row;
      this.#held.set(listingId, { listingId, sku, from, to });
    }
    this.#tell();
    return passing;
  }

  /** The listing needs no write any more, or was written for a sale. */
  async released(listingIds: readonly ListingId[]): Promise<void> {
    let isChanged = false;
    for (const listingId of listingIds) isChanged = this.#held.delete(listingId) || isChanged;
    if (!isChanged) return;
    this.#isChanged = true;
    if (this.#held.size === 0 && !this.#isHeldCut && this.#state.tripped !== undefined) await this.#open();
    else await this.#store();
    this.#tell();
  }

  /** A person says that it is meant: changes up to `seq` may go. Answers what was held. */
  async confirm(seq: number): Promise<readonly ListingId[]> {
    this.#isChanged = true;
    const held = [...this.#held.keys()];
    for (const listingId of held) this.#confirmed.add(listingId);
    this.#held.clear();
    this.#isHeldCut = false;
    this.#spent.clear();
    this.#spentBefore = undefined;
    this.#state = { confirmedSeq: Math.max(seq, this.#state.confirmedSeq) };
    await this.#store();
    this.#tell();
    return held;
  }

  /** These are meant, before they are looked at. */
  allow(listingIds: readonly ListingId[]): void {
    for (const listingId of listingIds) this.#confirmed.add(listingId);
  }

  #isOfRun({ listingId, pending }: GuardedRow): boolean {
    if (pending.cause === 'sale') return false;
    if (this.#confirmed.delete(listingId)) {
      this.#isChanged = true;
      return false;
    }
    return pending.seq === 0 || pending.seq > this.#state.confirmedSeq;
  }

  #isSale({ sku, pending }: GuardedRow): boolean {
    return pending.cause === undefined && this.#sold?.has(sku) === true;
  }

  /** Notes what passes; why it may not otherwise. */
  #excess(run: readonly HeldRow[]): string | undefined {
    const after = this.#after(run);
    const verdict = this.#judge(after);
    if (verdict.kind === 'stopped') return verdict.reason;
    this.#isChanged = true;
    this.#spent.clear();
    for (const [listingId, one] of after) this.#spent.set(listingId, one);
    return undefined;
  }

  /** With what is held now and what passed before: a raise that takes back what passed must not keep it tripped. */
  #isPutRight(run: readonly HeldRow[]): boolean {
    // A part of what is held was too much to keep over a restart: what is left says nothing of the whole.
    if (this.#isHeldCut) return false;
    const all = new Map(this.#held);
    for (const row of run) all.set(row.listingId, row);
    return this.#judge(this.#after([...all.values()])).kind === 'fit';
  }

  #judge(rows: ReadonlyMap<ListingId, Spent>): ReturnType<typeof judgeBlast> {
    const before = this.#spentBefore;
    const isOver = before === undefined || before.atMs <= Date.now() - this.#options.limits.windowMs;
    const blast = blastOf(
      [...rows.values()].map(({ row }) => row),
      isOver ? noBlast : before,
    );
    return judgeBlast(blast, this.#options.listings(), this.#options.limits);
  }

  /** What the window would have moved in all, listing by listing. */
  #after(run: readonly HeldRow[]): Map<ListingId, Spent> {
    const nowMs = Date.now();
    const after = new Map<ListingId, Spent>();
    for (const [listingId, one] of this.#spent)
      if (one.atMs > nowMs - this.#options.limits.windowMs) after.set(listingId, one);
    for (const { listingId, from, to } of run) {
      after.set(listingId, { atMs: nowMs, row: { from: after.get(listingId)?.row.from ?? from, to } });
    }
    return after;
  }

  async #open(): Promise<void> {
    this.#isChanged = true;
    this.#state = { confirmedSeq: this.#state.confirmedSeq };
    this.#held.clear();
    this.#isHeldCut = false;
    this.#options.log.info(
      { channel: this.#options.channel },
      'the run fits its limits now: nothing is held',
    );
    await this.#store();
  }

  async #store(): Promise<void> {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    try {
      await this.#options.mesh.moveCursor(this.#cursor, this.#keptText(), 'opaque');
    } catch (error) {
      this.#isChanged = true;
      throw error;
    }
  }

  /** As many listings as there is room for: ids and SKUs may be long, and what is too long could not be kept at all. */
  #keptText(): string {
    for (let most = maxKept; ; most = Math.floor(most / 2)) {
      const text = JSON.stringify(this.#kept(most));
      if (most === 0 || Buffer.byteLength(text) <= maxCursorBytes) return text;
    }
  }

  #kept(most: number): Known {
    const sinceMs = Date.now() - this.#options.limits.windowMs;
    const spent = [...this.#spent].filter(([, { atMs }]) => atMs > sinceMs);
    const older = spent.slice(0, Math.max(0, spent.length - most));
    const before = this.#spentBefore;
    const isOver = before === undefined || before.atMs <= sinceMs;
    const atMs = older.at(-1)?.[1].atMs ?? before?.atMs ?? 0;
    const held = [...this.#held.values()];
    return {
      ...this.#state,
      spent: Object.fromEntries(
        spent.slice(older.length).map(([id, one]) => [id, [one.atMs, one.row.from, one.row.to]]),
      ),
      ...(older.length === 0 && isOver
        ? {}
        : {
            spentBefore: {
              atMs,
              ...blastOf(
                older.map(([, { row }]) => row),
                isOver ? noBlast : before,
              ),
            },
          }),
      held: Object.fromEntries(
        held.slice(0, most).map(({ listingId, sku, from, to }) => [listingId, [sku, from, to]]),
      ),
      isHeldCut: this.#isHeldCut || held.length > most,
      confirmed: [...this.#confirmed].slice(0, most),
    };
  }

  #tell(): void {
    this.#options.onChanged(this.view(0));
  }

  get #cursor(): string {
    return `guard:${this.#options.channel}`;
  }
}

/** Movements that are sales or follow from them; everything else may be part of a run. */
export const saleKinds: ReadonlySet<string> = new Set([
  'ordered',
  'cancelled',
  'shipped',
  'unshipped',
  'written-off',
  'reassigned',
  'held',
  'extended',
  'released',
  'expired',
  'hold-committed',
  'provisioned',
  'provision-resolved',
  'returned',
]);
