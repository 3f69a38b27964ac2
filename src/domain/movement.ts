import type { ChannelId, LocationId, Sku } from './ids.ts';

/** Every kind of entry in the log, with the one-letter code it has there (docs/ledger.md). */
export const movementCodes = {
  received: 'R',
  counted: 'N',
  adjusted: 'A',
  ordered: 'o',
  cancelled: 'x',
  shipped: 's',
  unshipped: 'u',
  'written-off': 'w',
  returned: 'b',
  reassigned: 'm',
  held: 'h',
  extended: 'e',
  released: 'l',
  expired: 'y',
  'hold-committed': 'c',
  provisioned: 'p',
  'provision-resolved': 'q',
  transferred: 't',
  epoch: 'E',
} as const;
export type MovementKind = keyof typeof movementCodes;

export const movementKindsByCode: ReadonlyMap<string, MovementKind> = new Map(
  Object.entries(movementCodes).map(([kind, code]) => [code, kind as MovementKind]),
);

/** One entry of the log. `units` is the change of the counter behind it; the three deltas are what it did to the level. */
export interface Movement {
  /** `<epoch>-<seq>` */
  readonly id: string;
  readonly epoch: number;
  readonly seq: number;
  readonly kind: MovementKind;
  readonly sku: Sku;
  readonly location: LocationId;
  readonly units: number;
  readonly deltaOnHand: number;
  readonly deltaCommitted: number;
  readonly deltaReserved: number;
  readonly onHand: number;
  readonly committed: number;
  readonly reserved: number;
  /** Entries of this SKU so far, this one included. */
  readonly version: number;
  readonly channel: ChannelId | '';
  /** Order id, hold id, listing id or document. */
  readonly reference: string;
  readonly line: string;
  readonly operationId: string;
  readonly actor: string;
  /** Wall clock of the Redis server, ms. Order is by `seq`, never by this. */
  readonly atMs: number;
  /** Kind-specific extension, see docs/ledger.md. */
  readonly extra: string;
}

export interface Level {
  readonly onHand: number;
  readonly committed: number;
  readonly reserved: number;
}

/** Derived, may be negative: a negative figure is the oversell signal, it is never clamped inside the ledger. */
export function availableOf(level: Level): number {
  return level.onHand - level.committed - level.reserved;
}
