import type { ChannelId, ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { OpenWrite } from '../domain/listing.ts';
import type { Level } from '../domain/movement.ts';
import { maxUnits } from '../domain/quantity.ts';
import type {
  ClaimResult,
  LeaseResult,
  ListingChange,
  ListingsView,
  ListingView,
  Position,
  PublisherLedger,
  Settlement,
  SettleResult,
  WriteRecord,
} from './contract.ts';
import { packListingState, packOpenWrite, readListingState } from './listing-record.ts';
import { formatPosition } from './position.ts';
import { checkText, checkWhole, invalid } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

const maxMarks = 1_000;
const maxPending = 100_000;
const maxRowsPerRead = 250;
const maxRowsPerClaim = 1_000;
const maxChanges = 1_000;
const stateFields = 13;

/** The lease under which `claimWrite` and `settle` of a channel are fenced. */
export function publisherLease(channel: ChannelId): string {
  return `publish:${channel}`;
}

/** How an open write of each kind of request counts in the belief (domain/belief.ts). */
const openWriteKinds = {
  lower: 'delta',
  raise: 'delta',
  repair: 'compare-and-set',
  put: 'absolute',
} as const satisfies Record<WriteRecord['kind'], OpenWrite['kind']>;

/** What a publisher stores and reads: lease, marks, listing states, write records. */
export class PublisherCommands implements PublisherLedger {
  readonly #caller: ScriptCaller;

  constructor(caller: ScriptCaller) {
    this.#caller = caller;
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
  ): Promise<ListingsView> {
    const views: ListingView[] = [];
    let position: Position | undefined;
    for (let from = 0; from === 0 || from < rows.length; from += maxRowsPerRead) {
      const some = rows.slice(from, from + maxRowsPerRead);
      const args: (string | number)[] = [checkText('channel', channel)];
      for (const { listingId, sku, components = [] } of some) {
        args.push(checkText('listing id', listingId), 1 + components.length, sku, ...components);
      }
      const reply = await this.#caller.call('read-listings', args);
      position ??= { epoch: this.#caller.epoch ?? 0, seq: reply.seq };
      for (const [index, row] of some.entries()) {
        views.push(readView(row, reply.fields[index] as readonly unknown[]));
      }
    }
    return { position: position ?? { epoch: 0, seq: 0 }, rows: views };
  }

  async claimWrite(
    channel: ChannelId,
    token: number,
    record: WriteRecord,
    versions: readonly { listingId: ListingId; version: number }[],
  ): Promise<ClaimResult> {
    if (record.rows.length === 0 || record.rows.length > maxRowsPerClaim) {
      throw invalid(`a write record has 1 to ${maxRowsPerClaim} rows`);
    }
    const expected = new Map(versions.map(({ listingId, version }) => [listingId, version]));
    if (new Set(record.rows.map(({ listingId }) => listingId)).size !== record.rows.length) {
      throw invalid('a write record names a listing twice');
    }
    const args: (string | number)[] = [
      checkText('channel', channel),
      publisherLease(channel),
      token,
      checkText('write id', record.writeId),
      JSON.stringify(record),
    ];
    for (const row of record.rows) {
      const version = expected.get(row.listingId);
      if (version === undefined) throw invalid(`no version for listing ${row.listingId}`);
      args.push(checkText('listing id', row.listingId), version, packOpenWrite(openWriteOf(record, row)));
    }
    const reply = await this.#caller.call('claim-write', args);
    if (reply.outcome === 'conflict') {
      return { kind: 'conflict', listings: reply.fields.map((id) => String(id) as ListingId) };
    }
    return { kind: reply.outcome as 'claimed' | 'lease-lost' };
  }

  async openWrites(channel: ChannelId): Promise<readonly WriteRecord[]> {
    const reply = await this.#caller.call('show-mesh', ['writes', checkText('channel', channel)]);
    return reply.fields
      .map((json) => JSON.parse(String(json)) as WriteRecord)
      .toSorted((a, b) => a.sentAtMs - b.sentAtMs);
  }

  async settle(channel: ChannelId, token: number, settlement: Settlement): Promise<SettleResult> {
    if (settlement.changes.length > maxChanges) {
      throw invalid(`a settlement has at most ${maxChanges} changes`);
    }
    const reply = await this.#caller.call('settle-write', [
      JSON.stringify({
        channel: checkText('channel', channel),
        lease: publisherLease(channel),
        token,
        actor: `publish:${channel}`,
        id: settlement.settlementId,
        close: settlement.closeWrites,
        keep: (settlement.keepWrites ?? []).map((record) => [record.writeId, JSON.stringify(record)]),
        changes: settlement.changes.map(packChange),
      }),
    ]);
    switch (reply.outcome) {
      case 'conflict':
        return { kind: 'conflict', listings: reply.fields.map((id) => String(id) as ListingId) };
      case 'suspected':
        return { kind: 'suspected' };
      default:
        return { kind: 'settled', seq: Number(reply.fields[0]) };
    }
  }
}

function openWriteOf(record: WriteRecord, row: WriteRecord['rows'][number]): OpenWrite {
  return {
    writeId: record.writeId,
    kind: openWriteKinds[record.kind],
    from: row.from,
    to: row.to,
    takenAt: row.takenAt,
    sentAtMs: record.sentAtMs,
    outcome: 'sent',
    token: record.token,
  };
}

function packChange(change: ListingChange): readonly unknown[] {
  const { provision } = change;
  return [
    checkText('listing id', change.listingId),
    change.expectedVersion,
    change.expectedTaken ?? '',
    packListingState(change.next),
    provision === undefined
      ? 0
      : [
          checkWhole('units', provision.units, -maxUnits, maxUnits),
          checkText('sku', provision.sku),
          checkText('location', provision.location),
          checkText('cause', provision.cause),
        ],
    change.settledSeq ?? '',
    change.markPending === true ? 1 : 0,
  ];
}

function readView(
  row: { listingId: ListingId; sku: Sku; components?: readonly Sku[] },
  answer: readonly unknown[],
): ListingView {
  const skus = [row.sku, ...(row.components ?? [])];
  const levels = new Map<Sku, ReadonlyMap<LocationId, Level>>();
  const settlesHere = new Map<LocationId, number>();
  for (const [index, sku] of skus.entries()) {
    const flat = (answer[stateFields + index] ?? []) as readonly string[];
    const places = new Map<LocationId, Level>();
    for (let i = 0; i < flat.length; i += 5) {
      const location = flat[i] as LocationId;
      places.set(location, {
        onHand: Number(flat[i + 1]),
        committed: Number(flat[i + 2]),
        reserved: Number(flat[i + 3]),
      });
      const settling = Number(flat[i + 4]);
      if (index === 0 && settling !== 0) settlesHere.set(location, settling);
    }
    levels.set(sku, places);
  }
  const fields = answer.slice(0, stateFields).map(String);
  return { listingId: row.listingId, sku: row.sku, state: readListingState(fields), levels, settlesHere };
}
