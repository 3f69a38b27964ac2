import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ParkedRow } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { MeshState, ParkedEntry } from '../ledger/contract.ts';

const maxContent = 2_000;
const maxReason = 500;
const pageSize = 500;

/** A row of a connector, or one that the mesh itself sets aside. */
export type ParkableRow = Omit<ParkedRow, 'what'> & { readonly what: ParkedRow['what'] | 'credit' };

/** The same row is one entry however often it comes. */
export function parkedRowId(channel: ChannelId, row: Pick<ParkableRow, 'what' | 'reference'>): string {
  const reference =
    row.reference.length <= 120
      ? row.reference
      : createHash('sha256').update(row.reference).digest('hex').slice(0, 40);
  return `${row.what}:${channel}:${reference}`;
}

export function parkedEntry(channel: ChannelId, row: ParkableRow): ParkedEntry {
  return {
    id: parkedRowId(channel, row),
    channel,
    what: row.what,
    reference: row.reference.slice(0, 255),
    reason: row.reason.slice(0, maxReason),
    content: row.content.slice(0, maxContent),
    parkedAtMs: Date.now(),
    times: 1,
  };
}

const lineContent = z.object({ order: z.string(), sku: z.string().optional(), item: z.string().nullish() });
export type ParkedOrderContent = z.output<typeof lineContent>;

/** What a parked order or order line is about; undefined for other rows. */
export function parkedOrderOf(entry: ParkedEntry): ParkedOrderContent | undefined {
  if (entry.what !== 'order' && entry.what !== 'order-line') return undefined;
  try {
    return lineContent.safeParse(JSON.parse(entry.content)).data;
  } catch {
    return undefined;
  }
}

export async function* allParked(mesh: Pick<MeshState, 'parked'>): AsyncGenerator<ParkedEntry> {
  let after: string | undefined;
  for (;;) {
    const page = await mesh.parked(pageSize, after);
    yield* page;
    after = page.at(-1)?.id;
    if (after === undefined || page.length < pageSize) return;
  }
}
