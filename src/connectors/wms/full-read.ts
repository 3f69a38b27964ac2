import type { HttpConnection, Reading } from './options.ts';

/** How long a snapshot of so many rows takes at the source's published limit; undefined: none is published. */
export function fullReadMs({ limits, snapshot }: HttpConnection, rows: number): number | undefined {
  const pages = Math.ceil(rows / pageSizeOf(snapshot.paging));
  switch (limits?.kind) {
    case undefined:
    case 'none':
      return undefined;
    case 'token-bucket':
      return waitMs(pages, limits.capacity, limits.refillPerS);
    case 'sliding-window':
      return waitMs(pages, limits.requests, (limits.requests * 1_000) / limits.windowMs);
    case 'credits':
      return waitMs(rows + pages, limits.capacity, limits.refillPerS);
  }
}

function waitMs(cost: number, atOnce: number, perS: number): number {
  return (Math.max(0, cost - atOnce) / perS) * 1_000;
}

export function pageSizeOf(paging: Reading['paging']): number {
  return 'size' in paging ? paging.size : 1;
}
