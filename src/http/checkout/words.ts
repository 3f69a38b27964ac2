import type { AvailabilityStatus } from '../../domain/availability-status.ts';

/** What `GET availability` may also say while the ledger is away. */
export type ToldStatus = AvailabilityStatus | 'unknown';

/** The well-known values of UCP's `types/availability.json`, which knows no word for few. */
export const ucpStatuses = ['in_stock', 'backorder', 'preorder', 'out_of_stock', 'discontinued'] as const;
/** Of a variant in an ACP feed (schema.feed.json, Availability). */
export const acpFeedStatuses = [
  'in_stock',
  'limited_stock',
  'backorder',
  'preorder',
  'out_of_stock',
  'discontinued',
] as const;
/** Of a line item of an ACP checkout or cart (schema.agentic_checkout.json, LineItem): another list than the feed's. */
export const acpLineStatuses = ['in_stock', 'low_stock', 'out_of_stock', 'backorder', 'pre_order'] as const;

const ucpWords: Readonly<Record<ToldStatus, (typeof ucpStatuses)[number]>> = {
  in_stock: 'in_stock',
  low_stock: 'in_stock',
  backorder: 'backorder',
  preorder: 'preorder',
  out_of_stock: 'out_of_stock',
  discontinued: 'discontinued',
  // Whoever may say nothing sells nothing.
  unknown: 'out_of_stock',
};
const acpFeedWords: Readonly<Record<ToldStatus, (typeof acpFeedStatuses)[number]>> = {
  ...ucpWords,
  low_stock: 'limited_stock',
};
const acpLineWords: Readonly<Record<ToldStatus, (typeof acpLineStatuses)[number]>> = {
  in_stock: 'in_stock',
  low_stock: 'low_stock',
  backorder: 'backorder',
  preorder: 'pre_order',
  out_of_stock: 'out_of_stock',
  discontinued: 'out_of_stock',
  unknown: 'out_of_stock',
};

/** Later delivery can be had too: `available` is whether it can be obtained at all, `status` says how. */
function canBeObtained(status: ToldStatus): boolean {
  return status !== 'out_of_stock' && status !== 'discontinued' && status !== 'unknown';
}

export function ucpAvailability(status: ToldStatus): {
  readonly available: boolean;
  readonly status: (typeof ucpStatuses)[number];
} {
  return { available: canBeObtained(status), status: ucpWords[status] };
}

export function acpFeedAvailability(status: ToldStatus): {
  readonly available: boolean;
  readonly status: (typeof acpFeedStatuses)[number];
} {
  return { available: canBeObtained(status), status: acpFeedWords[status] };
}

export function acpLineStatus(status: ToldStatus): (typeof acpLineStatuses)[number] {
  return acpLineWords[status];
}
