import type { SandboxClock } from '../shopify/clock.ts';
import { type Fault, FaultPlan } from '../shopify/faults.ts';
import { SeededRandom } from '../shopify/random.ts';
import type { Records, StockChange } from './records.ts';

export interface WarehouseOptions {
  readonly name: string;
  readonly kind: 'shiphero' | 'shipbob';
  /** Ids and names of its places; one place when absent. */
  readonly places?: readonly { readonly id: string; readonly name: string }[];
  readonly seed?: number;
  /** The published limits; on unless switched off. */
  readonly rateLimit?: 'published' | 'none';
  readonly username?: string;
  readonly password?: string;
  readonly accessToken?: string;
}

export interface Item {
  readonly sku: string;
  readonly inventoryId: number;
  readonly isVirtual: boolean;
}

interface Shelf extends Item {
  readonly placeId: string;
  readonly place: string;
  onHand: number;
  committed: number;
  nonSellable: number;
  changedAt: number;
}

/** The shelf itself, read only: its figures go on changing. */
export type ShelfView = Readonly<Shelf>;

const MAX_ITEMS = 200_000;
const FIRST_INVENTORY_ID = 1_234_567;
const FIRST_ORDER_ID = 700_001;
/** Where no places are given. */
const USUAL_PLACES = { shiphero: { id: '13841', name: 'CA' }, shipbob: { id: '8', name: 'Cicero' } } as const;

/** Physical stock of one account. Whoever changes it tells nobody: that is what webhooks and polls are for. */
export class SandboxWarehouse {
  readonly name: string;
  readonly kind: WarehouseOptions['kind'];
  readonly options: WarehouseOptions;
  readonly clock: SandboxClock;
  readonly records: Records;
  readonly random: SeededRandom;
  readonly faults: FaultPlan;
  readonly places: readonly { readonly id: string; readonly name: string }[];
  /** Base address of its API. */
  baseUrl = '';
  readonly #items = new Map<string, Item>();
  readonly #shelves = new Map<string, Shelf>();
  /** All of them in the order of pages; a large account is asked for hundreds of pages. */
  #inOrder: readonly Shelf[] | undefined;
  readonly #changes: StockChange[] = [];
  readonly #listeners = new Set<(change: StockChange) => void>();
  readonly #shipmentListeners = new Set<(shipment: Shipment) => void>();
  #lastChangeId = 0;
  #lastOrderId = FIRST_ORDER_ID;

  constructor(options: WarehouseOptions, clock: SandboxClock, records: Records) {
    this.options = options;
    this.name = options.name;
    this.kind = options.kind;
    this.clock = clock;
    this.records = records;
    this.random = new SeededRandom(options.seed ?? 1);
    this.faults = new FaultPlan(this.random);
    this.places = options.places ?? [USUAL_PLACES[options.kind]];
  }

  addItem(options: { sku: string; onHand?: number; place?: string; isVirtual?: boolean }): Item {
    const known = this.#items.get(options.sku);
    if (!known && this.#items.size >= MAX_ITEMS) throw new Error(`more than ${MAX_ITEMS} items`);
    const item = known ?? {
      sku: options.sku,
      inventoryId: FIRST_INVENTORY_ID + this.#items.size,
      isVirtual: options.isVirtual ?? false,
    };
    this.#items.set(options.sku, item);
    const shelf = this.#shelf(options.sku, options.place);
    if (options.onHand !== undefined) shelf.onHand = options.onHand;
    return item;
  }

  /** A person counts, finds, breaks or throws away. */
  adjust(sku: string, change: number, options: { place?: string; reason?: string } = {}): StockChange {
    const placeId = options.place ?? this.#firstPlace();
    const shelf = this.#shelf(sku, placeId);
    // Nobody can throw away what is not there.
    const applied = Math.max(change, -shelf.onHand);
    const before = shelf.onHand;
    shelf.onHand += applied;
    shelf.changedAt = this.clock.now();
    const row: StockChange = {
      id: ++this.#lastChangeId,
      at: shelf.changedAt,
      warehouse: this.name,
      sku,
      placeId,
      before,
      change: applied,
      reason: options.reason ?? 'Change by hand',
    };
    this.#changes.push(row);
    this.records.audit.add(row);
    for (const listener of this.#listeners) listener(row);
    return row;
  }

  receive(sku: string, units: number, place?: string): StockChange {
    return this.adjust(sku, units, { ...(place === undefined ? {} : { place }), reason: 'Received' });
  }

  /** An order is picked and leaves the house. */
  ship(lines: readonly { readonly sku: string; readonly units: number }[], place?: string): Shipment {
    const id = ++this.#lastOrderId;
    for (const { sku, units } of lines) {
      this.adjust(sku, -units, { ...(place === undefined ? {} : { place }), reason: `Order ${id} shipped` });
    }
    const shipment = { id, lines, at: this.clock.now() };
    for (const listener of this.#shipmentListeners) listener(shipment);
    return shipment;
  }

  setNonSellable(sku: string, units: number, place?: string): void {
    this.#shelf(sku, place).nonSellable = units;
  }

  onHand(sku: string, place?: string): number {
    return this.#shelf(sku, place).onHand;
  }

  item(sku: string): Item | undefined {
    return this.#items.get(sku);
  }

  /** Every shelf, by inventory id and place: the order pages come in. */
  shelves(
    filter: { sku?: string; inventoryIds?: ReadonlySet<number>; placeId?: string } = {},
  ): readonly ShelfView[] {
    const { sku, inventoryIds, placeId } = filter;
    const item = sku === undefined ? undefined : this.#items.get(sku);
    if (sku !== undefined && item === undefined) return [];
    this.#inOrder ??= [...this.#items.values()].flatMap((one) => this.#shelvesOf(one));
    const rows = item === undefined ? this.#inOrder : this.#shelvesOf(item);
    if (inventoryIds === undefined && placeId === undefined) return rows;
    return rows.filter(
      (shelf) =>
        (inventoryIds === undefined || inventoryIds.has(shelf.inventoryId)) &&
        (placeId === undefined || shelf.placeId === placeId),
    );
  }

  #shelvesOf({ sku }: Item): readonly Shelf[] {
    return this.places.flatMap(({ id }) => this.#shelves.get(keyOf(sku, id)) ?? []);
  }

  changesBetween(fromMs: number, toMs: number, filter: { sku?: string; placeId?: string }): StockChange[] {
    return this.#changes.filter(
      (change) =>
        change.at >= fromMs &&
        change.at <= toMs &&
        (filter.sku === undefined || change.sku === filter.sku) &&
        (filter.placeId === undefined || change.placeId === filter.placeId),
    );
  }

  onChange(listener: (change: StockChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onShipment(listener: (shipment: Shipment) => void): () => void {
    this.#shipmentListeners.add(listener);
    return () => this.#shipmentListeners.delete(listener);
  }

  setFaults(faults: readonly Fault[]): void {
    this.faults.set(faults);
  }

  violate(kind: string, detail: string): void {
    this.records.violations.add({ at: this.clock.now(), warehouse: this.name, kind, detail });
  }

  #firstPlace(): string {
    return this.places[0]?.id ?? '';
  }

  #shelf(sku: string, place = this.#firstPlace()): Shelf {
    const item = this.#items.get(sku);
    if (!item) throw new Error(`no item ${sku}`);
    const found = this.places.find(({ id }) => id === place);
    if (!found) throw new Error(`no place ${place}`);
    const key = keyOf(sku, place);
    let shelf = this.#shelves.get(key);
    if (!shelf) {
      const nothing = { onHand: 0, committed: 0, nonSellable: 0, changedAt: this.clock.now() };
      shelf = { ...item, placeId: place, place: found.name, ...nothing };
      this.#shelves.set(key, shelf);
      this.#inOrder = undefined;
    }
    return shelf;
  }
}

function keyOf(sku: string, placeId: string): string {
  return `${sku}\u001f${placeId}`;
}

export interface Shipment {
  readonly id: number;
  readonly lines: readonly { readonly sku: string; readonly units: number }[];
  readonly at: number;
}
