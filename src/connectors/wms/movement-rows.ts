import type { PlatformMovement } from '../counts.ts';
import type { ParkedRow } from '../parked-row.ts';
import { idOf, locationIdOf, onlyPlace, pathOf } from './count-rows.ts';
import { type JsonPath, compilePath, selectOne } from './json-path.ts';
import { parseMoment } from './moments.ts';
import type { MovementMapping } from './options.ts';
import { parseCountUnits } from './units.ts';

export type MappedMovement =
  | { readonly kind: 'movement'; readonly movement: PlatformMovement }
  | { readonly kind: 'bad'; readonly row: ParkedRow };

const maxText = 200;

/** A compiled mapping from one row of a source to a movement of on-hand. */
export class MovementMapper {
  readonly #map: MovementMapping;
  readonly #paths = new Map<string, JsonPath>();

  constructor(map: MovementMapping) {
    this.#map = map;
    const location = map.location === undefined ? undefined : pathOf(map.location);
    for (const field of [map.id, map.sku, location, map.units, map.at?.path, map.reference, map.reason]) {
      if (field !== undefined) this.#paths.set(field, compilePath(field));
    }
  }

  map(row: unknown): MappedMovement {
    const map = this.#map;
    const id = idOf(this.#field(row, map.id));
    const sku = idOf(this.#field(row, map.sku));
    const named =
      map.location === undefined
        ? onlyPlace
        : locationIdOf(map.location, this.#field(row, pathOf(map.location)));
    const units = parseCountUnits(this.#field(row, map.units), { negative: 'allow', unitFactor: 1 });
    const reference = `${sku ?? ''}@${named ?? ''}#${id ?? ''}`.slice(0, 255);
    const bad = (reason: string): MappedMovement => ({
      kind: 'bad',
      row: { what: 'count', reference, reason, content: JSON.stringify({ id, sku, place: named }) },
    });
    if (id === undefined || id.length > maxText) return bad('the movement has no id');
    if (sku === undefined) return bad('the movement has no SKU');
    if (named === undefined) return bad('the movement names no location');
    if (units.kind === 'bad') return bad(units.reason);
    let effectiveAtMs: number | undefined;
    if (map.at !== undefined) {
      const moment = parseMoment(this.#field(row, map.at.path), map.at);
      if (moment.kind === 'bad') return bad(moment.reason);
      effectiveAtMs = moment.value;
    }
    const text = (field: string | undefined): string =>
      (field === undefined ? '' : (idOf(this.#field(row, field)) ?? '')).slice(0, maxText);
    const isNegative = map.sign === 'negative';
    return {
      kind: 'movement',
      movement: {
        movementId: id,
        kind: map.kind,
        sku,
        locationId: map.places?.[named] ?? named,
        units: isNegative ? 0 - Math.abs(units.value) : units.value,
        effectiveAtMs,
        reference: text(map.reference) || id,
        reason: text(map.reason),
      },
    };
  }

  #field(row: unknown, name: string): unknown {
    const path = this.#paths.get(name);
    return path === undefined ? undefined : selectOne(row, path);
  }
}
