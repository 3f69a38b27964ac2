import { parseUnits } from '../../domain/quantity.ts';
import { isRecord, listOf } from '../raw-json.ts';

export type LevelReading =
  | { readonly kind: 'level'; readonly available: number; readonly isActive: boolean }
  | { readonly kind: 'bad'; readonly reason: string };

/** `available` may be negative (oversold, point of sale, policy CONTINUE); anything but a whole number is parked. */
export function readLevel(level: unknown): LevelReading {
  if (!isRecord(level)) return { kind: 'bad', reason: 'the level is not an object' };
  const quantity = (listOf(level['quantities']) ?? []).find(
    (entry) => isRecord(entry) && entry['name'] === 'available',
  );
  if (!isRecord(quantity)) return { kind: 'bad', reason: 'the level has no available quantity' };
  const units = parseUnits(quantity['quantity'], {
    min: Number.MIN_SAFE_INTEGER,
    max: Number.MAX_SAFE_INTEGER,
  });
  if (units.kind === 'bad') return units;
  return { kind: 'level', available: units.value, isActive: level['isActive'] === true };
}

const maxRemembered = 50_000;

/**
 * Levels last seen inactive. A write there succeeds silently and sells nothing, so the connector refuses it. Only the
 * inactive ones are kept: usually a handful, at most `maxRemembered`.
 */
export class InactiveLevels {
  readonly #keys = new Set<string>();

  note(key: string, isActive: boolean): void {
    if (isActive) this.#keys.delete(key);
    else if (this.#keys.size < maxRemembered) this.#keys.add(key);
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }
}
