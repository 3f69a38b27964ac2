import type { ChannelId, ListingId, LocationId, Sku } from '../domain/ids.ts';
import type { Level } from '../domain/movement.ts';
import type { Position } from './contract.ts';
import { US } from './keys.ts';
import { LogEntry, type LogGap } from './log-entry.ts';
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
  #lastLocation = '' as LocationId;
  /** With the separator behind it. */
  #lastPlace: string = US;

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
    const levels = this.#skus.get(sku)?.levels;
    if (levels === undefined) return undefined;
    for (const [location, level] of levels) {
      if (!(level instanceof LogEntry)) continue;
      const { onHand, committed, reserved } = level;
      levels.set(location, { onHand, committed, reserved });
    }
    return levels;
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

  /** Runs for every entry of the ledger in every daemon: it reads no more of the text than it must. */
  #apply(entry: LogEntry): boolean {
    const { packed } = entry;
    const code = packed.charCodeAt(0);
    if (orderCodes.has(code)) this.#addTaken(entry);
    let row = this.#skus.get(entry.sku);
    if (row === undefined) {
      row = { loadedVersion: 0, seq: 0, levels: new Map(), settling: undefined };
      this.#skus.set(entry.sku, row);
    }
    if (row.loadedVersion > 0) {
      if (entry.version <= row.loadedVersion) return false;
      // Versions only grow along the log: what follows is newer as well.
      row.loadedVersion = 0;
    }
    row.seq = entry.seq;
    const location = this.#locationIn(packed);
    row.levels.set(location, entry);
    if (holdCodes.has(code)) {
      const settlesOn = settlesOnIn(packed);
      if (settlesOn !== '') {
        addSettling(row, `${settlesOn}${US}${location}`, code === heldCode ? entry.units : -entry.units);
      }
    }
    return true;
  }

  /** Most entries are at the place of the one before: its text is known already, and so is its hash. */
  #locationIn(packed: string): LocationId {
    if (!packed.startsWith(this.#lastPlace, 2)) {
      this.#lastLocation = packed.slice(2, packed.indexOf(US, 2)) as LocationId;
      this.#lastPlace = `${this.#lastLocation}${US}`;
    }
    return this.#lastLocation;
  }

  #addTaken(entry: LogEntry): void {
    const listing = takenIn(entry);
    if (listing === undefined) return;
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

const codes = (...letters: readonly string[]): ReadonlySet<number> =>
  new Set(letters.map((letter) => letter.charCodeAt(0)));
const orderCodes = codes('o', 'x', 's', 'u', 'w', 'b');
const holdCodes = codes('h', 'l', 'y', 'c');
const heldCode = 'h'.charCodeAt(0);

/** `line` of a hold's entry, found from the end: operation, actor, ms and extra follow it. */
function settlesOnIn(packed: string): string {
  let end = packed.lastIndexOf(US);
  for (let i = 0; i < 3; i++) end = packed.lastIndexOf(US, end - 1);
  return packed.slice(packed.lastIndexOf(US, end - 1) + 1, end);
}

/** `extra` of an order entry: `listing id;dTaken;platform time`. The listing id may hold a semicolon. */
function takenIn(entry: LogEntry): { readonly key: string; readonly taken: number } | undefined {
  const { extra } = entry;
  const timeAt = extra.lastIndexOf(';');
  const takenAt = extra.lastIndexOf(';', timeAt - 1);
  if (takenAt <= 0) return undefined;
  const taken = Number(extra.slice(takenAt + 1, timeAt));
  if (taken === 0) return undefined;
  return { key: `${entry.channel}${US}${extra.slice(0, takenAt)}`, taken };
}
