import type { CountRows } from '../connectors/counts.ts';
import type { ParkedRow } from '../connectors/parked-row.ts';
import { type LocationId, type Sku, parseSku } from '../domain/ids.ts';
import { maxUnits, parseUnits } from '../domain/quantity.ts';
import { type ChannelSettings, locationsAt } from './channel.ts';

export interface OwnedLocation {
  /** How long after a fulfilment the units may still be in the count. */
  readonly pickLagMs: number;
}

/** A count in the ledger's words. */
export interface OwnedCount {
  readonly itemId: string;
  readonly sku: Sku;
  readonly location: LocationId;
  readonly place: string;
  readonly onHand: number;
  /** Ledger clock. */
  readonly asOfMs: number;
  readonly pickLagMs: number;
  readonly version: string | undefined;
}

export interface OwnCounts {
  readonly counts: readonly OwnedCount[];
  readonly parked: readonly ParkedRow[];
  /** Why none of the rows may be applied. */
  readonly conflict: string | undefined;
}

type Placed =
  | { readonly kind: 'ok'; readonly sku: Sku; readonly location: LocationId }
  | { readonly kind: 'bad'; readonly row: ParkedRow };

interface Context {
  readonly settings: ChannelSettings;
  readonly owned: ReadonlyMap<LocationId, OwnedLocation>;
  /** Learnt from call to call: where each of our locations was counted. */
  readonly places: Map<LocationId, string>;
  /** Ledger clock minus the connector's clock. */
  readonly clockMs: number;
}

/** Which rows of a page concern a level of ours, and what is wrong with the others. */
export function ownCounts(page: CountRows, context: Context): OwnCounts {
  const { settings, owned, places, clockMs } = context;
  const rows = new Map<string, OwnedCount>();
  const parked: ParkedRow[] = [];
  const twice = new Set<string>();
  for (const count of page.counts) {
    const found = ownPlace(count, settings, owned);
    if (found.kind === 'bad') {
      parked.push(found.row);
      continue;
    }
    const { sku, location } = found;
    const problem = problemOf(count);
    if (problem !== undefined) {
      parked.push(parkedCount(`${count.sku}@${count.locationId}`, problem, count));
      continue;
    }
    const known = places.get(location);
    if (known !== undefined && known !== count.locationId) {
      // Each place would overwrite the other's figure: which of them is the location nobody can tell.
      const reason = `${known} and ${count.locationId} are both ${location}: give each a location, or sum them in the mapping`;
      return { counts: [], parked: [], conflict: reason };
    }
    places.set(location, count.locationId);
    const row: OwnedCount = {
      itemId: count.itemId,
      sku,
      location,
      place: count.locationId,
      onHand: count.onHand,
      asOfMs: Math.max(0, Math.round(count.asOfMs + clockMs)),
      pickLagMs: owned.get(location)?.pickLagMs ?? 0,
      version: count.version,
    };
    const key = `${location}\u001f${sku}`;
    const other = rows.get(key);
    if (other !== undefined && other.itemId !== row.itemId) {
      const reason = `two items of the WMS are ${sku} there: ${other.itemId} and ${row.itemId}`;
      parked.push(parkedCount(`${sku}@${location}`, reason, count));
      twice.add(key);
    }
    // The same row on two pages of one reading: the later look counts.
    if (other === undefined || other.asOfMs <= row.asOfMs) rows.set(key, row);
  }
  for (const key of twice) rows.delete(key);
  return { counts: [...rows.values()], parked: uniqueRows(parked), conflict: undefined };
}

export function ownPlace(
  row: { readonly sku: string; readonly locationId: string },
  settings: ChannelSettings,
  owned: ReadonlyMap<LocationId, OwnedLocation>,
): Placed {
  const sku = parseSku(settings.aliases.get(row.sku) ?? row.sku);
  if (sku.kind === 'bad') {
    return { kind: 'bad', row: parkedCount(`${row.sku}@${row.locationId}`, sku.reason, row) };
  }
  const places = locationsAt(settings, row.locationId);
  const location = places[0]?.location;
  // One row per place, not per SKU: what is missing is one line of the configuration.
  if (location === undefined || places.length > 1) {
    const reason =
      location === undefined
        ? `the place ${row.locationId} is no location of ours: add it to the channel's locations`
        : `the place ${row.locationId} is several locations of ours: a count needs exactly one`;
    return { kind: 'bad', row: parkedPlace(row.locationId, reason) };
  }
  if (!owned.has(location)) {
    const reason = `the location ${location} is not this channel's to count: set its authority to channel:${settings.id}`;
    return { kind: 'bad', row: parkedPlace(row.locationId, reason) };
  }
  return { kind: 'ok', sku: sku.value, location };
}

function problemOf(count: {
  readonly onHand: number;
  readonly asOfMs: number;
  readonly version?: string | undefined;
}): string | undefined {
  const units = parseUnits(count.onHand, { min: -maxUnits, max: maxUnits });
  if (units.kind === 'bad') return units.reason;
  if (!Number.isFinite(count.asOfMs) || count.asOfMs < 0) return 'the count has no moment';
  if (count.version !== undefined && !/^(?:0|[1-9]\d{0,39})$/.test(count.version)) {
    return 'the version is not a whole number';
  }
  return undefined;
}

function parkedCount(reference: string, reason: string, row: object): ParkedRow {
  return { what: 'count', reference, reason, content: JSON.stringify(row).slice(0, 2_000) };
}

function parkedPlace(place: string, reason: string): ParkedRow {
  return { what: 'count', reference: `place:${place}`, reason, content: JSON.stringify({ place }) };
}

function uniqueRows(rows: readonly ParkedRow[]): readonly ParkedRow[] {
  return [...new Map(rows.map((row) => [row.reference, row])).values()];
}
