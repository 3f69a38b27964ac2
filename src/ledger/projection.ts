import type { ChannelId, ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { Level } from '../domain/movement.ts';
import type { Position } from './contract.ts';
import { US } from './keys.ts';
import type { LogEntry, LogGap } from './log-entry.ts';
import type { LogConsumer, LogReader } from './log-reader.ts';
import type { ProjectionSnapshot, SkuRow } from './projection-snapshot.ts';

/** The SKUs that changed in one batch, each with the sequence of its newest change. */
export type ChangedSkus = ReadonlyMap<Sku, number>;

/** Where the state of the hashes comes from: `RedisProjectionSource`, or a test. */
export interface ProjectionSource {
  load(): Promise<ProjectionSnapshot>;
}

/**
 * Levels of every SKU in memory, fed by the daemon's log reader.
 *
 *   empty --load--> loaded --entries--> following --gap--> loading again (the reader waits) --> following
 *
 * The snapshot is read while the ledger moves on, SKU by SKU, each with its version; an entry is applied only to what
 * has not seen it. Every answer is true for `position` and at most `ageMs()` old.
 */
export class LedgerProjection implements LogConsumer {
  readonly #source: ProjectionSource;
  readonly #listeners = new Set<(changed: ChangedSkus) => void>();
  #skus = new Map<Sku, SkuRow>();
  #taken = new Map<string, { taken: number; readonly seq: number }>();
  #position: Position = { epoch: 0, seq: 0 };
  #reader: LogReader | undefined;

  constructor(source: ProjectionSource) {
    this.#source = source;
  }

  /** Loads the hashes and follows the reader, which is started at the position loaded. */
  async start(reader: LogReader): Promise<void> {
    await this.#load();
    this.#reader = reader;
    reader.add(this);
  }

  get position(): Position {
    return this.#position;
  }

  ageMs(): number {
    return this.#reader?.ageMs() ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#skus.size;
  }

  /** Told once per batch, after the batch is applied. It must not throw and not wait. */
  onChanged(listener: (changed: ChangedSkus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Nothing: the ledger has never heard of the SKU. */
  levelsOf(sku: Sku): ReadonlyMap<LocationId, Level> | undefined {
    return this.#skus.get(sku)?.levels;
  }

  /** Reserved units at the location that will be bought on the channel: its own number does not hide them. */
  settlingOn(sku: Sku, channel: ChannelId, location: LocationId): number {
    return this.#skus.get(sku)?.settling?.get(`${channel}${US}${location}`) ?? 0;
  }

  /** Sequence of the SKU's newest entry that this projection has applied; 0 when it is older than the snapshot. */
  changedAt(sku: Sku): number {
    return this.#skus.get(sku)?.seq ?? 0;
  }

  takenOf(channel: ChannelId, listingId: ListingId): number {
    return this.#taken.get(`${channel}${US}${listingId}`)?.taken ?? 0;
  }

  skus(): IterableIterator<Sku> {
    return this.#skus.keys();
  }

  onEntries(entries: readonly LogEntry[]): void {
    const changed = new Map<Sku, number>();
    for (const entry of entries) {
      if (entry.sku !== '' && this.#apply(entry)) changed.set(entry.sku, entry.seq);
    }
    const last = entries.at(-1);
    if (last !== undefined) this.#position = { epoch: last.epoch, seq: last.seq };
    if (changed.size > 0) this.#tell(changed);
  }

  async onGap(_gap: LogGap): Promise<void> {
    const before = this.#skus;
    await this.#load();
    const changed = new Map<Sku, number>();
    for (const sku of before.keys()) changed.set(sku, this.#position.seq);
    for (const sku of this.#skus.keys()) changed.set(sku, this.#position.seq);
    this.#tell(changed);
  }

  async #load(): Promise<void> {
    const snapshot = await this.#source.load();
    this.#skus = snapshot.skus;
    this.#taken = snapshot.taken;
    this.#position = snapshot.position;
  }

  #apply(entry: LogEntry): boolean {
    const scan = scanEntry(entry.packed);
    let row = this.#skus.get(entry.sku);
    if (row === undefined) {
      row = { version: 0, seq: 0, levels: new Map(), settling: undefined };
      this.#skus.set(entry.sku, row);
    }
    if (scan.listing !== undefined) this.#addTaken(entry, scan.listing);
    if (scan.version <= row.version) return false;
    row.version = scan.version;
    row.seq = entry.seq;
    row.levels.set(scan.location as LocationId, {
      onHand: scan.onHand,
      committed: scan.committed,
      reserved: scan.reserved,
    });
    if (scan.settlesOn !== '') addSettling(row, `${scan.settlesOn}${US}${scan.location}`, scan.settling);
    return true;
  }

  #addTaken(entry: LogEntry, listing: { readonly key: string; readonly taken: number }): void {
    const known = this.#taken.get(listing.key);
    if (known === undefined) this.#taken.set(listing.key, { taken: listing.taken, seq: entry.seq });
    else if (entry.seq > known.seq) {
      this.#taken.set(listing.key, { taken: known.taken + listing.taken, seq: entry.seq });
    }
  }

  #tell(changed: ChangedSkus): void {
    for (const listener of this.#listeners) listener(changed);
  }
}

function addSettling(row: SkuRow, key: string, units: number): void {
  row.settling ??= new Map();
  const left = (row.settling.get(key) ?? 0) + units;
  if (left > 0) row.settling.set(key, left);
  else row.settling.delete(key);
}

interface ScannedEntry {
  readonly location: string;
  readonly onHand: number;
  readonly committed: number;
  readonly reserved: number;
  readonly version: number;
  readonly settlesOn: string;
  /** Change of the units that settle on that channel. */
  readonly settling: number;
  readonly listing: { readonly key: string; readonly taken: number } | undefined;
}

const orderCodes = new Set(['o', 'x', 's', 'u', 'w', 'b'].map((code) => code.charCodeAt(0)));
const heldCode = 'h'.charCodeAt(0);
const holdEndCodes = new Set(['l', 'y', 'c'].map((code) => code.charCodeAt(0)));

/** One pass over the packed text: this runs for every entry of the ledger in every daemon. */
function scanEntry(packed: string): ScannedEntry {
  const at = (from: number): number => packed.indexOf(US, from);
  const locationEnd = at(2);
  const unitsEnd = at(locationEnd + 1);
  const deltaOnHandEnd = at(unitsEnd + 1);
  const deltaCommittedEnd = at(deltaOnHandEnd + 1);
  const deltaReservedEnd = at(deltaCommittedEnd + 1);
  const onHandEnd = at(deltaReservedEnd + 1);
  const committedEnd = at(onHandEnd + 1);
  const reservedEnd = at(committedEnd + 1);
  const versionEnd = at(reservedEnd + 1);
  const code = packed.charCodeAt(0);
  const isHeld = code === heldCode;
  let settlesOn = '';
  let settling = 0;
  let listing: ScannedEntry['listing'];
  if (isHeld || holdEndCodes.has(code)) {
    const lineAt = at(at(versionEnd + 1) + 1) + 1;
    settlesOn = packed.slice(lineAt, at(lineAt));
    if (settlesOn !== '') settling = (isHeld ? 1 : -1) * Number(packed.slice(locationEnd + 1, unitsEnd));
  } else if (orderCodes.has(code)) {
    listing = takenIn(packed, versionEnd);
  }
  return {
    location: packed.slice(2, locationEnd),
    onHand: Number(packed.slice(deltaReservedEnd + 1, onHandEnd)),
    committed: Number(packed.slice(onHandEnd + 1, committedEnd)),
    reserved: Number(packed.slice(committedEnd + 1, reservedEnd)),
    version: Number(packed.slice(reservedEnd + 1, versionEnd)),
    settlesOn,
    settling,
    listing,
  };
}

/** `extra` of an order entry: `listing id;dTaken;platform time`. The listing id may hold a semicolon. */
function takenIn(packed: string, versionEnd: number): ScannedEntry['listing'] {
  const channelEnd = packed.indexOf(US, versionEnd + 1);
  const extra = packed.slice(packed.lastIndexOf(US) + 1);
  const timeAt = extra.lastIndexOf(';');
  const takenAt = extra.lastIndexOf(';', timeAt - 1);
  if (takenAt <= 0) return undefined;
  const taken = Number(extra.slice(takenAt + 1, timeAt));
  if (taken === 0) return undefined;
  return { key: `${packed.slice(versionEnd + 1, channelEnd)}${US}${extra.slice(0, takenAt)}`, taken };
}
