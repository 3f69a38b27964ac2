import type { SandboxClock } from './clock.ts';
import { gid, IdSequence } from './ids.ts';
import { onHandOf, STORED_QUANTITIES } from './model.ts';
import type {
  BundleComponent,
  InventoryPolicy,
  Item,
  Level,
  Location,
  Product,
  QuantityName,
  Variant,
} from './model.ts';
import type { ChangeCause, Records } from './records.ts';
import { LaggedTimestamp } from './search-index.ts';

export interface LocationOptions {
  readonly name: string;
  readonly isActive?: boolean;
  readonly fulfillsOnlineOrders?: boolean;
  readonly shipsInventory?: boolean;
  readonly isFulfillmentService?: boolean;
}

export interface ItemOptions {
  readonly sku: string | null;
  /** Available units: one number for the first location, or units by location name, number or gid. */
  readonly quantities?: number | Readonly<Record<string, number>>;
  readonly tracked?: boolean;
  readonly policy?: InventoryPolicy;
  readonly title?: string;
  readonly price?: string;
  readonly barcode?: string;
  readonly requiresShipping?: boolean;
  /** Components: the item is then a bundle parent whose own quantities cannot be changed. */
  readonly bundle?: readonly BundleComponent[];
  readonly productStatus?: Product['status'];
}

export interface ChangeContext {
  readonly cause: ChangeCause;
  readonly operation?: string | null;
  readonly idempotencyKey?: string | null;
  readonly reference?: string | null;
}

export interface InventoryEvents {
  /** The available quantity of a level changed (never for seeding). */
  availableChanged(level: Level): void;
  lagMs(): number;
}

/** Items, locations and levels of one shop; the only place where a stored quantity changes. */
export class InventoryState {
  readonly locations = new Map<string, Location>();
  readonly items = new Map<string, Item>();
  readonly #bySku = new Map<string, Item[]>();
  readonly #byVariant = new Map<string, Item>();
  readonly #shop: string;
  readonly #clock: SandboxClock;
  readonly #records: Records;
  readonly #events: InventoryEvents;
  readonly #ids: Record<'location' | 'level' | 'item' | 'variant' | 'product', IdSequence>;

  constructor(shop: string, clock: SandboxClock, records: Records, events: InventoryEvents, idBase: bigint) {
    this.#shop = shop;
    this.#clock = clock;
    this.#records = records;
    this.#events = events;
    this.#ids = {
      location: new IdSequence(106_318_430_514n + idBase),
      level: new IdSequence(143_273_001_266n + idBase, 32_769n),
      item: new IdSequence(53_469_430_055_218n + idBase),
      variant: new IdSequence(51_111_189_479_730n + idBase, 98_304n),
      product: new IdSequence(10_173_439_443_250n + idBase),
    };
  }

  addLocation(options: LocationOptions): Location {
    const number = this.#ids.location.take();
    const location: Location = {
      typename: 'Location',
      id: gid('Location', number),
      number,
      name: options.name,
      levelNumber: this.#ids.level.take(),
      isActive: options.isActive ?? true,
      fulfillsOnlineOrders: options.fulfillsOnlineOrders ?? true,
      shipsInventory: options.shipsInventory ?? true,
      isFulfillmentService: options.isFulfillmentService ?? false,
      createdAt: this.#clock.now(),
    };
    this.locations.set(location.id, location);
    return location;
  }

  addItem(options: ItemOptions): Item {
    const now = this.#clock.now();
    const number = this.#ids.item.take();
    const variantNumber = this.#ids.variant.take();
    const productNumber = this.#ids.product.take();
    const title = options.title ?? `Product ${options.sku ?? number}`;
    const base = {
      typename: 'InventoryItem' as const,
      id: gid('InventoryItem', number),
      number,
      sku: options.sku,
      tracked: options.tracked ?? true,
      policy: options.policy ?? 'DENY',
      requiresShipping: options.requiresShipping ?? true,
      bundle: options.bundle ?? [],
      createdAt: now,
      updatedAt: now,
      index: new LaggedTimestamp(),
      levels: new Map<string, Level>(),
    };
    const item = base as unknown as Item;
    item.variant = {
      typename: 'ProductVariant',
      id: gid('ProductVariant', variantNumber),
      number: variantNumber,
      title: 'Default Title',
      barcode: options.barcode ?? null,
      price: options.price ?? '10.00',
      product: {
        typename: 'Product',
        id: gid('Product', productNumber),
        number: productNumber,
        title,
        status: options.productStatus ?? 'ACTIVE',
      },
      item,
    };
    item.index.touch(now, now);
    this.items.set(item.id, item);
    this.#byVariant.set(item.variant.id, item);
    if (item.sku !== null) this.#bySku.set(item.sku, [...(this.#bySku.get(item.sku) ?? []), item]);
    this.#seed(item, options.quantities ?? 0);
    return item;
  }

  #seed(item: Item, quantities: NonNullable<ItemOptions['quantities']>): void {
    const first = [...this.locations.values()][0];
    if (!first) throw new Error('add a location before an item');
    if (typeof quantities === 'number') {
      this.change(this.openLevel(item, first, true), { available: quantities }, { cause: 'seed' });
      return;
    }
    for (const [name, available] of Object.entries(quantities))
      this.change(this.openLevel(item, this.location(name), true), { available }, { cause: 'seed' });
  }

  /** By gid, number or name. */
  location(ref: string): Location {
    for (const location of this.locations.values())
      if (location.id === ref || location.number === ref || location.name === ref) return location;
    throw new Error(`no location ${ref} in ${this.#shop}`);
  }

  itemsBySku(sku: string): readonly Item[] {
    return this.#bySku.get(sku) ?? [];
  }

  variant(id: string): Variant | null {
    return this.#byVariant.get(id)?.variant ?? null;
  }

  /** By SKU (which must be unique), item gid or variant gid. */
  item(ref: string): Item {
    const item = this.items.get(ref) ?? this.#byVariant.get(ref);
    if (item) return item;
    const [match, second] = this.itemsBySku(ref);
    if (!match || second) throw new Error(`${second ? 'several items have' : 'no item has'} SKU ${ref}`);
    return match;
  }

  /** The level, created (without quantities) when the item was never stocked there. */
  openLevel(item: Item, location: Location, isActive: boolean): Level {
    const existing = item.levels.get(location.id);
    if (existing) return existing;
    const now = this.#clock.now();
    const quantities = Object.fromEntries(STORED_QUANTITIES.map((name) => [name, 0])) as Level['quantities'];
    const level: Level = {
      typename: 'InventoryLevel',
      id: `${gid('InventoryLevel', location.levelNumber)}?inventory_item_id=${item.number}`,
      item,
      location,
      isActive,
      quantities,
      createdAt: now,
      updatedAt: now,
      index: new LaggedTimestamp(),
    };
    level.index.touch(now, now);
    item.levels.set(location.id, level);
    return level;
  }

  change(level: Level, deltas: Partial<Record<QuantityName, number>>, context: ChangeContext): void {
    const now = this.#clock.now();
    let changed = false;
    for (const [name, delta] of Object.entries(deltas) as [QuantityName, number][]) {
      if (delta === 0) continue;
      const from = level.quantities[name];
      level.quantities[name] = from + delta;
      changed = true;
      this.#records.audit.add({
        at: now,
        shop: this.#shop,
        sku: level.item.sku,
        inventoryItemId: level.item.id,
        locationId: level.location.id,
        name,
        from,
        to: from + delta,
        delta,
        cause: context.cause,
        operation: context.operation ?? null,
        idempotencyKey: context.idempotencyKey ?? null,
        reference: context.reference ?? null,
      });
    }
    if (!changed) return;
    this.touchLevel(level);
    this.#records.levelChanged({
      at: now,
      shop: this.#shop,
      sku: level.item.sku,
      inventoryItemId: level.item.id,
      locationId: level.location.id,
      available: level.quantities.available,
      committed: level.quantities.committed,
      onHand: onHandOf(level),
      cause: context.cause,
    });
    if ((deltas.available ?? 0) !== 0 && context.cause !== 'seed') this.#events.availableChanged(level);
  }

  touchLevel(level: Level): void {
    const now = this.#clock.now();
    level.updatedAt = now;
    level.index.touch(now, now + this.#events.lagMs());
  }

  touchItem(item: Item): void {
    const now = this.#clock.now();
    item.updatedAt = now;
    item.index.touch(now, now + this.#events.lagMs());
  }
}
