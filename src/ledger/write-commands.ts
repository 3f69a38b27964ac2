import type { ChannelId, ListingId } from '../domain/ids.ts';
import type { OpenWrite } from '../domain/listing.ts';
import { maxUnits } from '../domain/quantity.ts';
import type {
  ClaimResult,
  ListingChange,
  PublisherLedger,
  Settlement,
  SettleResult,
  WriteRecord,
} from './contract.ts';
import { GroupCommit } from './group-commit.ts';
import { RS } from './keys.ts';
import { packListingState, packOpenWrite } from './listing-record.ts';
import { checkText, checkWhole, invalid } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

const maxRowsPerClaim = 1_000;
const maxChanges = 1_000;
const groupLimits = { maxBatch: 500, maxInFlight: 2, maxWaiting: 10_000, gathers: true } as const;

interface Claim {
  readonly token: number;
  readonly args: readonly (string | number)[];
  readonly rows: number;
}

interface Settling {
  readonly token: number;
  readonly settlement: Settlement;
}

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

/** Claims and settlements of platform requests. Those of one turn of the event loop share a script call and its fsync. */
export class WriteCommands implements Pick<PublisherLedger, 'claimWrite' | 'settle'> {
  readonly #caller: ScriptCaller;
  readonly #claimsOf = new Map<ChannelId, GroupCommit<Claim, ClaimResult>>();
  readonly #settlementsOf = new Map<ChannelId, GroupCommit<Settling, SettleResult>>();

  constructor(caller: ScriptCaller) {
    this.#caller = caller;
  }

  /** Claims of one turn of the event loop share a call; each of them stands or falls by itself. */
  async claimWrite(
    channel: ChannelId,
    token: number,
    record: WriteRecord,
    versions: readonly { listingId: ListingId; version: number }[],
  ): Promise<ClaimResult> {
    return this.#claims(channel).add({ token, args: claimArgs(record, versions), rows: record.rows.length });
  }

  #claims(channel: ChannelId): GroupCommit<Claim, ClaimResult> {
    const known = this.#claimsOf.get(channel);
    if (known !== undefined) return known;
    const claims = new GroupCommit<Claim, ClaimResult>(
      'claim-write',
      groupLimits,
      ({ rows }) => rows,
      (requests) => byToken(requests, (token, some) => this.#claimAll(channel, token, some)),
    );
    this.#claimsOf.set(channel, claims);
    return claims;
  }

  async #claimAll(
    channel: ChannelId,
    token: number,
    claims: readonly Claim[],
  ): Promise<readonly ClaimResult[]> {
    const args = [checkText('channel', channel), publisherLease(channel), token];
    const reply = await this.#caller.call('claim-write', [...args, ...claims.flatMap((claim) => claim.args)]);
    if (reply.outcome === 'lease-lost') return claims.map(() => ({ kind: 'lease-lost' }));
    return claims.map((_claim, index): ClaimResult => {
      const moved = String(reply.fields[index]);
      if (moved === '') return { kind: 'claimed' };
      return { kind: 'conflict', listings: moved.split(RS) as ListingId[] };
    });
  }

  /** Settlements of one turn of the event loop share a call as long as none of their listings has moved. */
  settle(channel: ChannelId, token: number, settlement: Settlement): Promise<SettleResult> {
    if (settlement.changes.length > maxChanges) {
      return Promise.reject(invalid(`a settlement has at most ${maxChanges} changes`));
    }
    return this.#settlements(channel).add({ token, settlement });
  }

  #settlements(channel: ChannelId): GroupCommit<Settling, SettleResult> {
    const known = this.#settlementsOf.get(channel);
    if (known !== undefined) return known;
    const settlements = new GroupCommit<Settling, SettleResult>(
      'settle-write',
      groupLimits,
      ({ settlement }) => 1 + settlement.changes.length,
      (requests) => byToken(requests, (token, some) => this.#settleAll(channel, token, some)),
    );
    this.#settlementsOf.set(channel, settlements);
    return settlements;
  }

  async #settleAll(
    channel: ChannelId,
    token: number,
    requests: readonly Settling[],
  ): Promise<readonly SettleResult[]> {
    const alone = (): Promise<readonly SettleResult[]> =>
      Promise.all(requests.map(({ settlement }) => this.#settleOne(channel, token, settlement)));
    if (requests.length === 1) return alone();
    const changes = requests.flatMap(({ settlement }) => settlement.changes);
    // The second change of a listing was computed from what it is before the first.
    if (new Set(changes.map(({ listingId }) => listingId)).size !== changes.length) return alone();
    const ids = requests.flatMap(({ settlement }) => settlement.settlementId ?? []);
    const result = await this.#settleOne(channel, token, {
      changes,
      closeWrites: requests.flatMap(({ settlement }) => settlement.closeWrites),
      keepWrites: requests.flatMap(({ settlement }) => settlement.keepWrites ?? []),
      ...(ids.length === 0 ? {} : { settlementId: ids.join(' ') }),
    });
    return result.kind === 'conflict'
      ? this.#beside(channel, token, requests, result.listings)
      : requests.map(() => result);
  }

  /** Nothing of a call is settled when one listing has moved: the settlements beside it go once more, still together. */
  async #beside(
    channel: ChannelId,
    token: number,
    requests: readonly Settling[],
    listings: readonly ListingId[],
  ): Promise<readonly SettleResult[]> {
    const moved = new Set(listings);
    const movedOf = ({ settlement }: Settling): readonly ListingId[] =>
      settlement.changes.flatMap(({ listingId }) => (moved.has(listingId) ? [listingId] : []));
    const left = requests.filter((request) => movedOf(request).length === 0);
    const settled = left.length === 0 ? [] : await this.#settleAll(channel, token, left);
    const results = new Map(left.map((request, index) => [request, settled[index]]));
    return requests.map(
      (request) => results.get(request) ?? { kind: 'conflict', listings: movedOf(request) },
    );
  }

  async #settleOne(channel: ChannelId, token: number, settlement: Settlement): Promise<SettleResult> {
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

/** A new lease holder in this process may meet calls of its last term. */
async function byToken<Request extends { readonly token: number }, Result>(
  requests: readonly Request[],
  send: (token: number, some: readonly Request[]) => Promise<readonly Result[]>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let from = 0; from < requests.length;) {
    const token = requests[from]?.token ?? 0;
    const other = requests.findIndex((request, index) => index > from && request.token !== token);
    const to = other === -1 ? requests.length : other;
    results.push(...(await send(token, requests.slice(from, to))));
    from = to;
  }
  return results;
}

function claimArgs(
  record: WriteRecord,
  versions: readonly { listingId: ListingId; version: number }[],
): readonly (string | number)[] {
  if (record.rows.length === 0 || record.rows.length > maxRowsPerClaim) {
    throw invalid(`a write record has 1 to ${maxRowsPerClaim} rows`);
  }
  const expected = new Map(versions.map(({ listingId, version }) => [listingId, version]));
  if (new Set(record.rows.map(({ listingId }) => listingId)).size !== record.rows.length) {
    throw invalid('a write record names a listing twice');
  }
  const args: (string | number)[] = [
    checkText('write id', record.writeId),
    JSON.stringify(record),
    record.rows.length,
  ];
  for (const row of record.rows) {
    const version = expected.get(row.listingId);
    if (version === undefined) throw invalid(`no version for listing ${row.listingId}`);
    args.push(checkText('listing id', row.listingId), version, packOpenWrite(openWriteOf(record, row)));
  }
  return args;
}

/** What a listing remembers of a claimed request. */
export function openWriteOf(record: WriteRecord, row: WriteRecord['rows'][number]): OpenWrite {
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
