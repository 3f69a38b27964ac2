import { expect } from 'vitest';
import type { ChannelId, ListingId, LocationId, Sku } from '../../../src/domain/ids.ts';
import type { ListingState } from '../../../src/domain/listing.ts';
import { CountCommands } from '../../../src/ledger/count-commands.ts';
import { RedisMeshState } from '../../../src/ledger/mesh-state.ts';
import { PublisherCommands } from '../../../src/ledger/publisher-commands.ts';
import { publisherLease } from '../../../src/ledger/write-commands.ts';
import type { LedgerParts } from '../../support/ledger-parts.ts';
import type { PlainLedger } from './plain-ledger.ts';
import type { Random } from './random.ts';

const main = 'main' as LocationId;
const back = 'back' as LocationId;
const channel = 'shop' as ChannelId;
const leaseMs = 3_600_000;
/** Later than any clock of a schedule: the count is true as of the moment it is applied. */
const latestMs = Number.MAX_SAFE_INTEGER;

export function modelListing(sku: string): ListingId {
  return `listing of ${sku}` as ListingId;
}

/** The steps of a schedule that are neither holds nor orders: a second location, counts, and what publishers keep. */
export class SideCommands {
  readonly #random: Random;
  readonly #model: PlainLedger;
  readonly #skus: readonly string[];
  readonly #counts: CountCommands;
  readonly #publisher: PublisherCommands;
  readonly #mesh: RedisMeshState;
  readonly #transfers: { readonly operationId: string; readonly sku: string; readonly units: number }[] = [];
  readonly #writes = new Map<string, string>();
  /** Where no cursor is, it stands before everything. */
  #cursor: number | undefined;
  #clockMs = 0;
  #furthestMs = 0;

  constructor(parts: LedgerParts, random: Random, model: PlainLedger, skus: readonly string[]) {
    this.#random = random;
    this.#model = model;
    this.#skus = skus;
    this.#counts = new CountCommands(parts.caller);
    this.#publisher = new PublisherCommands(parts.caller);
    this.#mesh = new RedisMeshState(parts.caller);
  }

  clockStepped(byMs: number): void {
    this.#clockMs += byMs;
    this.#furthestMs = Math.max(this.#furthestMs, this.#clockMs);
  }

  async transfer(n: number): Promise<string> {
    const transfer = {
      operationId: `transfer-${n}`,
      sku: this.#random.pick(this.#skus),
      units: (1 + this.#random.below(4)) * (this.#random.chance(0.5) ? 1 : -1),
    };
    this.#transfers.push(transfer);
    expect(await this.#counts.transfer(transferOf(transfer))).toMatchObject({
      kind: 'adjusted',
      repeated: false,
    });
    this.#model.adjust(transfer.sku, -transfer.units);
    this.#model.adjustBack(transfer.sku, transfer.units);
    const again = this.#random.pick(this.#transfers);
    expect(await this.#counts.transfer(transferOf(again))).toMatchObject({
      kind: 'adjusted',
      repeated: true,
    });
    const other = await this.#counts.transfer(transferOf({ ...again, units: again.units * 10 }));
    expect(other.kind).toBe('fingerprint-mismatch');
    return `transfer ${transfer.units} of ${JSON.stringify(transfer.sku.slice(0, 12))}`;
  }

  async count(n: number): Promise<string> {
    const sku = this.#random.pick(this.#skus);
    const onHand = this.#random.below(15);
    const count = {
      operationId: `count-${n}`,
      sku: sku as Sku,
      location: back,
      onHand,
      asOfMs: latestMs,
      pickLagMs: 0,
      skewMs: 0,
      source: 'model',
      actor: 'test',
    };
    const answer = await this.#counts.applyCount(count);
    // After a step back the clock says that movements come after this count, or that a later one was applied already.
    const isBehind = this.#clockMs < this.#furthestMs;
    if (answer.kind !== 'counted') {
      expect({ answer: answer.kind, isBehind }).toEqual({ answer: 'stale', isBehind: true });
      return 'count: stale';
    }
    expect(answer.onHand).toBe(this.#model.onHandBack(sku) + answer.delta);
    if (!isBehind) expect(answer.onHand).toBe(onHand);
    this.#model.adjustBack(sku, answer.delta);
    const again = await this.#counts.applyCount(count);
    if (again.kind === 'counted') expect(again.onHand).toBe(answer.onHand);
    else expect(isBehind).toBe(true);
    return `count ${onHand} of ${JSON.stringify(sku.slice(0, 12))}: ${answer.onHand}`;
  }

  /** Units held back because a listing dropped, and given back: with its reply lost, and from a state that has moved on. */
  async provision(): Promise<string> {
    const sku = this.#random.pick(this.#skus);
    const token = await this.#lease();
    const state = await this.#state(sku);
    const booked = this.#model.provisionalOf(sku);
    const units = this.#random.chance(0.5) ? 1 + this.#random.below(3) : -(1 + this.#random.below(3));
    const settlement = {
      changes: [
        {
          listingId: modelListing(sku),
          expectedVersion: state.version,
          next: state,
          provision: { units, sku: sku as Sku, location: main, cause: units > 0 ? 'drop' : 'edited' },
        },
      ],
      closeWrites: [],
    };
    const first = await this.#publisher.settle(channel, token, settlement);
    expect(first.kind).toBe('settled');
    const moved = Math.max(units, -booked);
    const again = await this.#publisher.settle(channel, token, settlement);
    // What booked nothing is not remembered but done again, behind holds that this call may be the first to end.
    if (moved === 0) expect(again.kind).toBe('settled');
    else expect(again).toEqual(first);
    this.#model.provision(sku, moved);
    return `provision ${units} of ${JSON.stringify(sku.slice(0, 12))}`;
  }

  /** A write record: claimed when the listing has none, closed when it has. */
  async write(n: number): Promise<string> {
    const sku = this.#random.pick(this.#skus);
    const listingId = modelListing(sku);
    const token = await this.#lease();
    const state = await this.#state(sku);
    const open = this.#writes.get(sku);
    expect(state.openWrites.map(({ writeId }) => writeId)).toEqual(open === undefined ? [] : [open]);
    if (open !== undefined) {
      const changes = [{ listingId, expectedVersion: state.version, next: { ...state, openWrites: [] } }];
      const settlement = { changes, closeWrites: [open] };
      const first = await this.#publisher.settle(channel, token, settlement);
      expect(first.kind).toBe('settled');
      expect(await this.#publisher.settle(channel, token, settlement)).toEqual(first);
      this.#writes.delete(sku);
      return `close ${open}`;
    }
    const writeId = `write-${n}`;
    const record = {
      writeId,
      kind: 'lower',
      rows: [{ listingId, from: 9, to: 4, takenAt: state.taken }],
      variablesHash: 'hash',
      reference: '1-1',
      seq: 1,
      token,
      sentAtMs: 1_000,
      attempts: 1,
    } as const;
    const versions = [{ listingId, version: state.version }];
    for (let times = 0; times < 2; times += 1)
      expect(await this.#publisher.claimWrite(channel, token, record, versions)).toEqual({ kind: 'claimed' });
    expect(
      await this.#publisher.claimWrite(channel, token + 1, { ...record, writeId: 'x' }, versions),
    ).toEqual({
      kind: 'lease-lost',
    });
    this.#writes.set(sku, writeId);
    return `claim ${writeId}`;
  }

  async moveCursor(): Promise<string> {
    const to = (this.#cursor ?? 1_000) + this.#random.below(20) - 8;
    const moved = await this.#mesh.moveCursor('model', String(to), 'number');
    // To where it stands already counts as moved: the reply of the first call may have been lost.
    expect(moved).toBe(this.#cursor === undefined || to >= this.#cursor ? 'moved' : 'kept');
    if (moved === 'moved') this.#cursor = to;
    return `cursor to ${to}: ${moved}`;
  }

  /** Everything of a publisher that outlives it. */
  async compare(): Promise<void> {
    const open = (await this.#publisher.openWrites(channel)).map(({ writeId }) => writeId);
    expect(open.toSorted()).toEqual([...this.#writes.values()].toSorted());
    expect(await this.#mesh.cursor('model')).toBe(this.#cursor?.toString() ?? null);
    for (const sku of this.#skus) {
      const { taken, provisional } = await this.#state(sku);
      expect({ sku, taken, provisional }).toEqual({
        sku,
        taken: this.#model.taken(sku),
        provisional: this.#model.provisionalOf(sku),
      });
    }
  }

  async #lease(): Promise<number> {
    const lease = await this.#publisher.takeLease(publisherLease(channel), 'model', leaseMs);
    if (lease.kind !== 'taken') throw new Error('the lease has another holder');
    return lease.token;
  }

  async #state(sku: string): Promise<ListingState & { readonly version: number }> {
    const asked = [{ listingId: modelListing(sku), sku: sku as Sku }];
    const [row] = (await this.#publisher.readListings(channel, asked)).rows;
    if (row === undefined) throw new Error('the listing was not read');
    return row.state;
  }
}

/** Negative units come back. */
function transferOf({ operationId, sku, units }: { operationId: string; sku: string; units: number }) {
  const [from, to] = units > 0 ? [main, back] : [back, main];
  return {
    operationId,
    sku: sku as Sku,
    from,
    to,
    units: Math.abs(units),
    reference: 'model',
    actor: 'test',
  };
}
