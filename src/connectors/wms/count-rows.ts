import type { PlatformCount } from '../counts.ts';
import type { ParkedRow } from '../parked-row.ts';
import { type JsonPath, compilePath, selectAll, selectOne } from './json-path.ts';
import { parseMoment } from './moments.ts';
import type { CountMapping, LocationField, SkipRule } from './options.ts';
import { type UnitRules, defaultUnitRules, parseCountUnits } from './units.ts';

/** The place of a source that has only one and does not name it. */
export const onlyPlace = 'default';

const maxContent = 500;

export interface RowContext {
  /** Our clock: when the request was sent that brought the row. */
  readonly askedAtMs: number;
  /** The place the request was made for. */
  readonly place?: string | undefined;
}

export interface CountRow extends PlatformCount {
  /** The row says its own moment or version. */
  readonly isDated: boolean;
  readonly rowId: string | undefined;
}

export type MappedRow =
  | { readonly kind: 'count'; readonly row: CountRow }
  | { readonly kind: 'skipped' }
  | { readonly kind: 'bad'; readonly row: ParkedRow; readonly itemId: string | undefined };

/** A compiled mapping from one row of a source to a count. It throws nothing for a bad row: it says why it is bad. */
export class CountMapper {
  readonly #map: CountMapping;
  readonly #units: UnitRules;
  readonly #each: JsonPath | undefined;
  readonly #paths = new Map<string, JsonPath>();

  constructor(map: CountMapping, each?: string) {
    this.#map = map;
    this.#units = {
      ...map.units,
      negative: map.units?.negative ?? defaultUnitRules.negative,
      unitFactor: map.units?.unitFactor ?? defaultUnitRules.unitFactor,
    };
    this.#each = each === undefined ? undefined : compilePath(each);
    for (const field of [map.sku, map.itemId, map.onHand, map.asOf?.path, map.version, map.rowId]) {
      if (field !== undefined) this.#compile(field);
    }
    for (const field of map.subtract ?? []) this.#compile(field);
    for (const { path } of map.skipWhen ?? []) this.#compile(path);
    if (map.location !== undefined) this.#compile(pathOf(map.location));
  }

  map(item: unknown, context: RowContext): readonly MappedRow[] {
    const parts = this.#each === undefined ? [item] : selectAll(item, this.#each);
    return parts.map((part) => this.#one(item, part, context));
  }

  #one(item: unknown, part: unknown, context: RowContext): MappedRow {
    const map = this.#map;
    const field = (name: string): unknown => this.#field(name, item, part);
    if ((map.skipWhen ?? []).some((rule) => isSkipped(rule, field(rule.path)))) return { kind: 'skipped' };
    const sku = idOf(field(map.sku));
    const itemId = map.itemId === undefined ? sku : idOf(field(map.itemId));
    const place = this.#place(field, context);
    if (place === undefined) return bad('', 'the row names no location', item, itemId);
    if (place.kind === 'ignored') return { kind: 'skipped' };
    const reference = `${sku ?? ''}@${place.place}`;
    if (sku === undefined) return bad(reference, 'the row has no SKU', item, itemId);
    if (itemId === undefined) return bad(reference, 'the row has no item id', item, itemId);

    const onHand = this.#onHand(field);
    if (typeof onHand === 'string') return bad(reference, onHand, item, itemId);
    let asOfMs = context.askedAtMs;
    const stamp = map.asOf === undefined ? undefined : field(map.asOf.path);
    if (map.asOf !== undefined && stamp !== undefined && stamp !== null && stamp !== '') {
      const moment = parseMoment(stamp, map.asOf);
      if (moment.kind === 'bad') return bad(reference, moment.reason, item, itemId);
      asOfMs = moment.value;
    }
    const version = map.version === undefined ? undefined : idOf(field(map.version));
    if (version !== undefined && !/^(?:0|[1-9]\d{0,39})$/.test(version)) {
      return bad(reference, 'the version is not a whole number', item, itemId);
    }
    const rowId = map.rowId === undefined ? undefined : idOf(field(map.rowId));
    if (map.duplicates === 'sum' && rowId === undefined)
      return bad(reference, 'the row has no id', item, itemId);
    const isDated = asOfMs !== context.askedAtMs || version !== undefined;
    const name = normalised(sku, map);
    return {
      kind: 'count',
      row: {
        sku: name,
        itemId: map.itemId === undefined ? name : itemId,
        locationId: place.place,
        onHand,
        asOfMs,
        version,
        isDated,
        rowId,
      },
    };
  }

  /** The figure, or why there is none. The negative rule is for the difference: parts of it are never negative. */
  #onHand(field: (name: string) => unknown): number | string {
    const rules: UnitRules = { ...this.#units, negative: 'allow', unitFactor: 1 };
    const whole = parseCountUnits(field(this.#map.onHand), rules);
    if (whole.kind === 'bad') return whole.reason;
    let units = whole.value;
    for (const name of this.#map.subtract ?? []) {
      const value = field(name);
      // A part that is absent or null is nothing to subtract.
      if (value === undefined || value === null) continue;
      const less = parseCountUnits(value, { ...rules, negative: 'park' });
      if (less.kind === 'bad') return `${name}: ${less.reason}`;
      units -= less.value;
    }
    const result = parseCountUnits(units, this.#units);
    return result.kind === 'bad' ? result.reason : result.value;
  }

  #place(
    field: (name: string) => unknown,
    context: RowContext,
  ): { readonly kind: 'place'; readonly place: string } | { readonly kind: 'ignored' } | undefined {
    const { location, places, otherPlaces } = this.#map;
    let named: string | undefined = context.place;
    if (location !== undefined) named = locationIdOf(location, field(pathOf(location)));
    else named ??= onlyPlace;
    if (named === undefined) return undefined;
    if (places === undefined) return { kind: 'place', place: named };
    if (Object.hasOwn(places, named)) return { kind: 'place', place: places[named] ?? named };
    return otherPlaces === 'ignore' ? { kind: 'ignored' } : { kind: 'place', place: named };
  }

  #field(name: string, item: unknown, part: unknown): unknown {
    const path = this.#paths.get(name);
    if (path === undefined) return undefined;
    return selectOne(name.startsWith('@.') ? part : item, path);
  }

  #compile(name: string): void {
    this.#paths.set(name, compilePath(name.startsWith('@.') ? name.slice(2) : name));
  }
}

/** Ids and SKUs of a source: texts, or whole numbers written as such. */
export function idOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (typeof value === 'bigint') return String(value);
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined;
}

export function pathOf(location: LocationField): string {
  return typeof location === 'string' ? location : location.path;
}

export function locationIdOf(location: LocationField, value: unknown): string | undefined {
  const id = idOf(value);
  if (typeof location === 'string' || id === undefined || /^\d+$/.test(id)) return id;
  // Relay's global id: base64 of "Warehouse:13841".
  const plain = Buffer.from(id, 'base64').toString('latin1');
  return /^[A-Za-z]+:(\d+)$/.exec(plain)?.[1] ?? id;
}

export function normalised(
  sku: string,
  { skuTrim, skuCase }: { skuTrim?: boolean | undefined; skuCase?: 'upper' | 'lower' | undefined },
): string {
  const text = skuTrim === true ? sku.trim() : sku;
  if (skuCase === undefined) return text;
  return skuCase === 'upper' ? text.toUpperCase() : text.toLowerCase();
}

function isSkipped(rule: SkipRule, value: unknown): boolean {
  return (
    value === rule.equals || (value !== undefined && value !== null && idOf(value) === String(rule.equals))
  );
}

function bad(reference: string, reason: string, item: unknown, itemId: string | undefined): MappedRow {
  // A row of stock holds no person's information.
  const content = JSON.stringify(item, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return {
    kind: 'bad',
    itemId,
    row: {
      what: 'count',
      reference: reference.slice(0, 255),
      reason,
      content: (content ?? '').slice(0, maxContent),
    },
  };
}
