import type { ParkedRow, PlatformLine, PlatformOrder, PlatformUnits } from '../connectors/connector.ts';
import { type LocationId, parseReference } from '../domain/ids.ts';
import { type LineSnapshot, type LocatedUnits, counterNames } from '../domain/order.ts';
import { parseUnits } from '../domain/quantity.ts';
import type { BundleBook } from './bundle-history.ts';
import { bundleLines, takenOnly } from './bundle-lines.ts';
import { type ChannelSettings, locationsAt } from './channel.ts';
import type { SkuMap } from './sku-map.ts';

/** More units of one line than any platform lets a listing hold: a mistake, not an order. */
export const maxLineUnits = 1_000_000_000;

/** Platforms write times in whole seconds. An order of the reading's own second counts: rather too few than too many. */
const platformTimeStepMs = 1_000;

/**
 * Surfaces of the platforms themselves. Shopify's schema names web, mobile_app and pos, its REST reference the others; of its
 * own sales channels, which are named by the app's number, Online Store (580111, said by its staff) and Shop (3890849,
 * seen in reports of real shops) are certain. Nothing named is nobody else. Whatever else names itself as the source may have
 * copied the order here: `sourceRules` decides.
 */
const ownSources: ReadonlySet<string> = new Set([
  '',
  '580111',
  '3890849',
  'subscription_contract',
  'web',
  'mobile_app',
  'pos',
  'iphone',
  'android',
  'shopify_draft_order',
]);

export interface ReadOrder {
  /** Lines placed after their listing was first read, and those without a listing. */
  readonly lines: readonly LineSnapshot[];
  /** Lines whose units were inside the figure that was read first. */
  readonly adopted: readonly LineSnapshot[];
  /**
   * Components of bundles in such lines: their figures come from listings of their own, from which the platform took
   * nothing, so they still contained the open units.
   */
  readonly adoptedComponents: readonly LineSnapshot[];
  readonly parked: readonly ParkedRow[];
  /** Items that the map does not know. */
  readonly unknownItems: readonly string[];
  readonly foreignLines: number;
}

/** A platform's order in the ledger's words: SKU, listing and locations of ours; what cannot be read is parked. */
export function readOrder(order: PlatformOrder, map: SkuMap, bundles: BundleBook = noBundles): ReadOrder {
  const { settings } = map;
  const rule =
    settings.sourceRules.get(order.sourceName) ?? (ownSources.has(order.sourceName) ? 'sale' : undefined);
  const orderId = parseReference('order id', order.orderId);
  const refusal =
    orderId.kind === 'bad'
      ? orderId.reason
      : rule === undefined
        ? `the source ${JSON.stringify(order.sourceName.slice(0, 100))} has no rule: add it to sourceRules as sale or import`
        : undefined;
  if (refusal !== undefined || rule === undefined) {
    return { ...nothing, parked: [parkedOrder(order, refusal ?? 'no rule')] };
  }
  const lines: LineSnapshot[] = [];
  const adopted: LineSnapshot[] = [];
  const adoptedComponents: LineSnapshot[] = [];
  const parked: ParkedRow[] = [];
  const unknownItems = new Set<string>();
  let foreignLines = 0;
  for (const line of order.lines) {
    const problem = problemOf(line);
    if (problem !== undefined) {
      parked.push(parkedLine(order, line, problem));
      continue;
    }
    const found = map.resolve(line);
    if (found.kind === 'foreign') {
      foreignLines++;
      continue;
    }
    if (found.kind === 'unknown') {
      if (line.itemId !== null) unknownItems.add(line.itemId);
      parked.push(parkedLine(order, line, found.reason));
      continue;
    }
    if (found.needsDiscovery && line.itemId !== null) unknownItems.add(line.itemId);
    const isOlder =
      found.baselineAtMs !== undefined && order.placedAtMs + platformTimeStepMs <= found.baselineAtMs;
    const snapshot: LineSnapshot = {
      lineId: line.lineId,
      sku: found.sku,
      counters: rule === 'import' ? takenOnly(line.counters) : line.counters,
      listingId: found.listingId,
      takenIsKnown: line.takenIsKnown && found.listingIsKnown,
      committedAt: ourPlaces(settings, line.committedAt),
      shippedFrom: ourPlaces(settings, line.shippedFrom),
      lostFrom: ourPlaces(settings, line.lostFrom),
    };
    const components = bundles.componentsAt(found.sku, order.placedAtMs);
    if (components === undefined) {
      (isOlder ? adopted : lines).push(snapshot);
      continue;
    }
    const bundle = bundleLines(snapshot, components);
    (isOlder ? adopted : lines).push(bundle.own);
    if (rule !== 'import') (isOlder ? adoptedComponents : lines).push(...bundle.components);
  }
  return { lines, adopted, adoptedComponents, parked, unknownItems: [...unknownItems], foreignLines };
}

const noBundles: BundleBook = { componentsAt: () => undefined };

const nothing: ReadOrder = {
  lines: [],
  adopted: [],
  adoptedComponents: [],
  parked: [],
  unknownItems: [],
  foreignLines: 0,
};

function problemOf(line: PlatformLine): string | undefined {
  const lineId = parseReference('line id', line.lineId);
  if (lineId.kind === 'bad') return lineId.reason;
  for (const name of counterNames) {
    const units = parseUnits(line.counters[name], { min: 0, max: maxLineUnits });
    if (units.kind === 'bad') return `${name}: ${units.reason}`;
  }
  return undefined;
}

/** Units at places of ours; units elsewhere stay without a place, and the ledger routes them by the channel's order. */
function ourPlaces(
  settings: ChannelSettings,
  places: readonly PlatformUnits[] | undefined,
): readonly LocatedUnits[] | undefined {
  if (places === undefined) return undefined;
  const units = new Map<LocationId, number>();
  for (const place of places) {
    const ours = locationsAt(settings, place.locationId)[0];
    if (ours !== undefined) units.set(ours.location, (units.get(ours.location) ?? 0) + place.units);
  }
  return [...units].map(([location, total]) => ({ location, units: total }));
}

/** Ids and quantities only: the rest of an order is personal. */
function parkedOrder(order: PlatformOrder, reason: string): ParkedRow {
  const content = { order: order.orderId, source: order.sourceName, lines: order.lines.length };
  return { what: 'order', reference: order.orderId, reason, content: JSON.stringify(content) };
}

function parkedLine(order: PlatformOrder, line: PlatformLine, reason: string): ParkedRow {
  const content = {
    order: order.orderId,
    line: line.lineId,
    sku: line.sku.slice(0, 255),
    item: line.itemId,
    counters: line.counters,
  };
  const reference = `${order.orderId}/${line.lineId}`;
  return { what: 'order-line', reference, reason, content: JSON.stringify(content) };
}
