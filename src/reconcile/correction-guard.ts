import type { Logger } from 'pino';
import { z } from 'zod';
import {
  type Blast,
  type BlastLimits,
  type BlastRow,
  blastOf,
  judgeBlast,
  noBlast,
} from '../domain/blast-radius.ts';
import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { MeshState } from '../ledger/contract.ts';

export interface HeldCorrection extends BlastRow {
  readonly listingId: ListingId;
  readonly sku: string;
}

export interface CorrectionGuardView {
  readonly channel: ChannelId;
  readonly reason: string;
  readonly sinceMs: number;
  readonly heldListings: number;
  readonly zeroed: number;
  readonly movedUnits: number;
  readonly held: readonly HeldCorrection[];
}

export interface CorrectionGuardOptions {
  readonly channel: ChannelId;
  readonly limits: Pick<BlastLimits, 'maxZeroedPercent' | 'minZeroedListings' | 'maxMovedUnits'>;
  readonly listings: () => number;
  readonly mesh: Pick<MeshState, 'cursor' | 'moveCursor'>;
  readonly nowMs: () => number;
  readonly log: Logger;
}

const windowMs = 3_600_000;
/** Fewer corrections than this are the repair of single listings, however small the shop. */
const fewCorrections = 50;
const correctedShare = 0.2;
const maxHeld = 10_000;
const maxShown = 1_000;

const stored = z.object({ reason: z.string(), sinceMs: z.number() });

/**
 * The publisher's guard, for what reconciliation repairs: a channel on which a large part is wrong at once is likelier a
 * channel that answers wrongly, or a ledger that is wrong, than so many hand edits.
 *
 *   open --a correction would pass the limits of an hour--> tripped: it and every further one is held
 *   tripped --a person confirms--> open: what was held may be corrected, whatever it comes to
 *
 * That it tripped is durable. What is held is known again when the next run finds it again.
 */
export class CorrectionGuard {
  readonly #options: CorrectionGuardOptions;
  /** Corrections of the last hour, by listing (the same one twice is one), the oldest first; `#blast` is their sum. */
  readonly #passed = new Map<ListingId, { readonly atMs: number; readonly row: BlastRow }>();
  #blast: Blast = noBlast;
  readonly #held = new Map<ListingId, HeldCorrection>();
  readonly #confirmed = new Set<ListingId>();
  #tripped: { readonly reason: string; readonly sinceMs: number } | undefined;

  constructor(options: CorrectionGuardOptions) {
    this.#options = options;
  }

  async load(): Promise<void> {
    const text = await this.#options.mesh.cursor(this.#cursor);
    const known = text === null || text === '' ? undefined : stored.safeParse(JSON.parse(text));
    this.#tripped = known?.data;
  }

  /** Undefined: nothing is held. */
  view(): CorrectionGuardView | undefined {
    if (this.#tripped === undefined) return undefined;
    const held = [...this.#held.values()];
    return {
      channel: this.#options.channel,
      ...this.#tripped,
      heldListings: held.length,
      ...blastOf(held),
      held: held.slice(0, maxShown),
    };
  }

  /** Why the correction is held; undefined: it may go, and counts. */
  async hold(correction: HeldCorrection): Promise<string | undefined> {
    const { listingId, from, to } = correction;
    if (this.#confirmed.delete(listingId)) return undefined;
    const nowMs = this.#options.nowMs();
    for (const [id, { atMs }] of this.#passed) {
      if (atMs >= nowMs - windowMs) break;
      this.#forget(id);
    }
    if (this.#tripped === undefined) {
      const known = this.#passed.get(listingId)?.row;
      const row = { from: known?.from ?? from, to };
      this.#forget(listingId);
      this.#passed.set(listingId, { atMs: nowMs, row });
      this.#blast = blastOf([row], this.#blast);
      const reason = this.#excess();
      if (reason === undefined) return undefined;
      await this.#trip(reason, nowMs);
    }
    if (this.#held.size < maxHeld) this.#held.set(listingId, correction);
    return this.#tripped?.reason;
  }

  /** It agrees again, or was decided by a person. */
  async released(listingId: ListingId): Promise<void> {
    if (this.#held.delete(listingId) && this.#held.size === 0) await this.#open();
  }

  /** A complete run found nothing more to hold. */
  async settled(): Promise<void> {
    if (this.#tripped !== undefined && this.#held.size === 0) await this.#open();
  }

  /** A person says that the corrections are meant. Answers what was held. */
  async confirm(): Promise<readonly HeldCorrection[]> {
    const held = [...this.#held.values()];
    for (const { listingId } of held) this.#confirmed.add(listingId);
    await this.#open();
    return held;
  }

  #forget(listingId: ListingId): void {
    const passed = this.#passed.get(listingId);
    if (passed === undefined) return;
    this.#passed.delete(listingId);
    const { zeroed, movedUnits } = blastOf([passed.row]);
    this.#blast = { zeroed: this.#blast.zeroed - zeroed, movedUnits: this.#blast.movedUnits - movedUnits };
  }

  #excess(): string | undefined {
    const listings = this.#options.listings();
    const corrected = this.#passed.size;
    const most = Math.max(fewCorrections, Math.ceil(listings * correctedShare));
    if (corrected > most) return `it would correct ${corrected} of ${listings} listings within an hour`;
    const verdict = judgeBlast(this.#blast, listings, { ...this.#options.limits, windowMs });
    return verdict.kind === 'stopped' ? verdict.reason : undefined;
  }

  async #trip(reason: string, sinceMs: number): Promise<void> {
    const { channel, log } = this.#options;
    this.#tripped = { reason, sinceMs };
    log.error({ channel, reason }, 'corrections are held: see `stockmesh guard`');
    await this.#store(JSON.stringify(this.#tripped));
  }

  async #open(): Promise<void> {
    this.#held.clear();
    this.#passed.clear();
    this.#blast = noBlast;
    this.#tripped = undefined;
    await this.#store('');
  }

  #store(text: string): Promise<unknown> {
    return this.#options.mesh.moveCursor(this.#cursor, text, 'opaque');
  }

  get #cursor(): string {
    return `corrections:${this.#options.channel}`;
  }
}
