import { beliefOf } from '../domain/belief.ts';
import type { ListingId } from '../domain/ids.ts';
import type { ListingState } from '../domain/listing.ts';
import { shareOut } from '../domain/share-out.ts';
import type { Urgency } from '../domain/urgency.ts';
import type { ListingView, Position } from '../ledger/contract.ts';
import type { PendingListing } from './pending-lanes.ts';
import type { PlannedWrite, PublisherOptions } from './publisher-options.ts';
import { type MappedListing, isWritable } from './sku-map.ts';

/** One row of a request that could be sent. */
export interface PlannedRow extends PlannedWrite {
  readonly pending: PendingListing;
  readonly view: ListingView;
  readonly position: Position;
  readonly isRaise: boolean;
  readonly urgency: Urgency;
}

export type Look =
  | { readonly kind: 'write'; readonly row: PlannedRow }
  | { readonly kind: 'unneeded' }
  | { readonly kind: 'put-off'; readonly forMs: number };

export interface Views {
  readonly position: Position;
  readonly rows: ReadonlyMap<ListingId, ListingView>;
  /** Listings that had a figure before the rows were read. */
  readonly withFigure: ReadonlySet<ListingId>;
}

export interface LookSettings {
  /** Longest time a listing is put off; whoever answers sooner says so. */
  readonly maxPutOffMs: number;
}

const hourMs = 3_600_000;

/** Looks at listings: reads them as of one moment and asks the rules of their platform what is to be done. */
export class ListingLook {
  readonly #options: Omit<PublisherOptions, 'settings' | 'sender'>;
  readonly #settings: LookSettings;

  constructor(options: Omit<PublisherOptions, 'settings' | 'sender'>, settings: LookSettings) {
    this.#options = options;
    this.#settings = settings;
  }

  /** The listings and, for what they show, also those siblings whose requests are under way. */
  async read(taken: readonly PendingListing[]): Promise<Views> {
    const { channel, ledger, listing, ports } = this.#options;
    const asked = new Map<ListingId, MappedListing>();
    const withFigure = new Set<ListingId>();
    for (const { listingId } of taken) {
      const mapped = listing(listingId);
      if (mapped === undefined) continue;
      for (const sibling of ports.siblingsOf(mapped)) asked.set(sibling.listingId, sibling);
      asked.set(listingId, mapped);
      if (ports.hasFigure(mapped)) withFigure.add(listingId);
    }
    const rows = [...asked].map(([listingId, one]) => {
      return { listingId, sku: one.sku, components: ports.levelsBeside(one) };
    });
    const view = await ledger.readListings(channel, rows);
    const byId = new Map(view.rows.map((row) => [row.listingId, row]));
    return { position: view.position, rows: byId, withFigure };
  }

  decide(pending: PendingListing, view: ListingView, views: Views): Look {
    const { rules, ports, listing, nowMs } = this.#options;
    const { maxPutOffMs } = this.#settings;
    const { listingId, state } = view;
    const mapped = listing(listingId);
    if (mapped === undefined || !isWritable(mapped) || ports.isFrozen(listingId)) return { kind: 'unneeded' };
    if (!views.withFigure.has(listingId)) return this.#learn(mapped, state);
    const target = this.#ownPart(mapped, ports.targetOf(mapped, view), views);
    const decision = rules.decide(state, target, nowMs());
    switch (decision.kind) {
      case 'none':
        return { kind: 'unneeded' };
      case 'read-first':
        ports.needsRead(listingId, decision.notBeforeMs, decision.isLowering);
        return { kind: 'put-off', forMs: maxPutOffMs };
      case 'wait': {
        const awaitedMs = rules.pullAwaitedMs(state);
        if (decision.reason === 'orders-not-pulled' && awaitedMs !== undefined)
          ports.needsPull(listingId, awaitedMs);
        const untilMs = decision.untilMs ?? Number.POSITIVE_INFINITY;
        return { kind: 'put-off', forMs: Math.min(Math.max(1, untilMs - nowMs()), maxPutOffMs) };
      }
      case 'edited':
        // A report leaves the difference in the listing's state: lowerings go on, raises wait for a person.
        if (ports.edited(mapped, decision.from, decision.to) === 'report') return { kind: 'unneeded' };
        break;
      case 'lower':
      case 'raise':
        break;
    }
    if (decision.to > decision.from && ports.raisesStopped?.() === true) return { kind: 'unneeded' };
    const urgency = {
      target,
      belief: beliefOf(state),
      unitsPerHour: ports.unitsPerHour?.(mapped.sku, nowMs()) ?? soldLately(state, nowMs()),
      lagMs: ports.lagMs(),
      seq: pending.seq,
    };
    const { from, to } = decision;
    const kind = rules.recordKind(decision.kind);
    const isRaise = decision.kind !== 'lower';
    const { position } = views;
    const row = { pending, listingId, sku: mapped.sku, view, position, kind, isRaise, from, to, urgency };
    return { kind: 'write', row };
  }

  /** Its part of what it and its siblings show together. While one of them is unknown, none may be raised. */
  #ownPart(mapped: MappedListing, units: number, views: Views): number {
    const { ports } = this.#options;
    const siblings = ports.siblingsOf(mapped);
    if (siblings.length <= 1) return units;
    const shown = siblings.map(({ listingId }) => {
      const state = views.rows.get(listingId)?.state;
      const belief = state === undefined ? undefined : beliefOf(state);
      if (belief === undefined) ports.needsRead(listingId, 0);
      return belief;
    });
    const own = siblings.findIndex(({ listingId }) => listingId === mapped.listingId);
    const known = shown.filter((belief) => belief !== undefined);
    if (known.length === shown.length) return shareOut(units, known)[own] ?? 0;
    return Math.min(units, Math.max(0, shown[own] ?? 0));
  }

  /** Nothing may be said yet, but what the listing shows is learnt: its settled base can be the opening figure. */
  #learn(mapped: MappedListing, state: ListingState): Look {
    const { ports, rules } = this.#options;
    const { listingId } = mapped;
    ports.withoutFigure(mapped, state);
    if (state.base === undefined) ports.needsRead(listingId, 0);
    else {
      const awaitedMs = rules.pullAwaitedMs(state);
      if (awaitedMs === undefined) return { kind: 'unneeded' };
      ports.needsPull(listingId, awaitedMs);
    }
    return { kind: 'put-off', forMs: this.#settings.maxPutOffMs };
  }
}

function soldLately(state: ListingState, nowMs: number): number {
  let units = 0;
  for (const rise of state.rises) if (rise.units > 0 && rise.atMs > nowMs - hourMs) units += rise.units;
  return units;
}
