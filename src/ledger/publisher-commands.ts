import type { ChannelId, ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { Level } from '../domain/movement.ts';
import type {
  ClaimResult,
  LeaseResult,
  ListingsView,
  ListingView,
  Position,
  PublisherLedger,
  SettleResult,
  WriteRecord,
} from './contract.ts';
import { GS } from './keys.ts';
import { readListingState } from './listing-record.ts';
import { formatPosition } from './position.ts';
import { checkText, checkWhole, invalid } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';
import { WriteCommands } from './write-commands.ts';

const maxMarks = 1_000;
const maxPending = 100_000;
const maxRowsPerRead = 250;
const stateFields = 13;

/** What a publisher stores and reads: lease, marks, listing states, write records. */
export class PublisherCommands implements PublisherLedger {
  readonly #caller: ScriptCaller;
  readonly #writes: WriteCommands;

  constructor(caller: ScriptCaller) {
    this.#caller = caller;
    this.#writes = new WriteCommands(caller);
  }

  async takeLease(name: string, holder: string, ttlMs: number): Promise<LeaseResult> {
    const reply = await this.#caller.call('lease', [
      'take',
      checkText('lease name', name),
      checkText('lease holder', holder),
      checkWhole('ttlMs', ttlMs, 1, 3_600_000),
    ]);
    if (reply.outcome === 'busy') {
      return { kind: 'busy', holder: String(reply.fields[0]), freeInMs: Number(reply.fields[1]) };
    }
    return { kind: 'taken', token: Number(reply.fields[0]), untilMs: Number(reply.fields[1]) };
  }

  async giveUpLease(name: string, token: number): Promise<void> {
    await this.#caller.call('lease', ['give-up', checkText('lease name', name), token]);
  }

  async markPending(
    channel: ChannelId,
    marks: readonly { listingId: ListingId; seq: number }[],
    cursor: Position,
  ): Promise<void> {
    if (marks.length > maxMarks) throw invalid(`at most ${maxMarks} marks in a call`);
    const args: (string | number)[] = [checkText('channel', channel), formatPosition(cursor)];
    for (const { listingId, seq } of marks) args.push(checkText('listing id', listingId), seq);
    await this.#caller.call('mark-pending', args);
  }

  async pending(
    channel: ChannelId,
    limit: number,
  ): Promise<readonly { listingId: ListingId; seq: number }[]> {
    const reply = await this.#caller.call('show-mesh', [
      'pending',
      channel,
      checkWhole('limit', limit, 1, maxPending),
    ]);
    const marks: { listingId: ListingId; seq: number }[] = [];
    for (let i = 0; i < reply.fields.length; i += 2) {
      marks.push({ listingId: reply.fields[i] as ListingId, seq: Number(reply.fields[i + 1]) });
    }
    return marks;
  }

  /** More than 250 rows take several calls; the position is that of the first, so no row is older than it. */
  async readListings(
    channel: ChannelId,
    rows: readonly { listingId: ListingId; sku: Sku; components?: readonly Sku[] }[],
    part: 'all' | 'state' = 'all',
  ): Promise<ListingsView> {
    const views: ListingView[] = [];
    let position: Position | undefined;
    for (let from = 0; from === 0 || from < rows.length; from += maxRowsPerRead) {
      const some = rows.slice(from, from + maxRowsPerRead);
      const args: (string | number)[] = [checkText('channel', channel)];
      for (const row of some) {
        const skus = part === 'state' ? [] : [row.sku, ...(row.components ?? [])];
        args.push(checkText('listing id', row.listingId), skus.length, ...skus);
      }
      const reply = await this.#caller.call('read-listings', args);
      position ??= { epoch: this.#caller.epoch ?? 0, seq: reply.seq };
      for (const [index, row] of some.entries()) {
        views.push(readView(row, String(reply.fields[index]), part));
      }
    }
    return { position: position ?? { epoch: 0, seq: 0 }, rows: views };
  }

  claimWrite(...claim: Parameters<PublisherLedger['claimWrite']>): Promise<ClaimResult> {
    return this.#writes.claimWrite(...claim);
  }

  async openWrites(channel: ChannelId): Promise<readonly WriteRecord[]> {
    const reply = await this.#caller.call('show-mesh', ['writes', checkText('channel', channel)]);
    return reply.fields
      .map((json) => JSON.parse(String(json)) as WriteRecord)
      .toSorted((a, b) => a.sentAtMs - b.sentAtMs);
  }

  settle(...settlement: Parameters<PublisherLedger['settle']>): Promise<SettleResult> {
    return this.#writes.settle(...settlement);
  }
}

function readView(
  row: { listingId: ListingId; sku: Sku; components?: readonly Sku[] },
  answer: string,
  part: 'all' | 'state',
): ListingView {
  const fields = answer.split(GS);
  const skus = part === 'state' ? [] : [row.sku, ...(row.components ?? [])];
  const levels = new Map<Sku, ReadonlyMap<LocationId, Level>>();
  const settlesHere = new Map<LocationId, number>();
  let at = stateFields;
  for (const [index, sku] of skus.entries()) {
    const places = new Map<LocationId, Level>();
    for (let left = Number(fields[at++] ?? 0); left > 0; left--, at += 5) {
      const location = fields[at] as LocationId;
      places.set(location, {
        onHand: Number(fields[at + 1]),
        committed: Number(fields[at + 2]),
        reserved: Number(fields[at + 3]),
      });
      const settling = Number(fields[at + 4]);
      if (index === 0 && settling !== 0) settlesHere.set(location, settling);
    }
    levels.set(sku, places);
  }
  return { listingId: row.listingId, sku: row.sku, state: readListingState(fields), levels, settlesHere };
}
