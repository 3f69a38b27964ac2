import type { SandboxClock } from '../shopify/clock.ts';
import type { SeededRandom } from '../shopify/random.ts';
import type { Component, Level, Product, ProductStatus, Sku, Warehouse } from './model.ts';
import type { ChangeCause, Records, ViolationKind } from './records.ts';
import type { ShopSettings } from './shop-options.ts';

export interface NewProduct {
  readonly id?: string;
  readonly title?: string;
  readonly status?: ProductStatus;
  readonly skus: readonly {
    readonly sku: string;
    readonly id?: string;
    /** A number: all of it in the default warehouse. */
    readonly quantities?: number | Readonly<Record<string, number>>;
    readonly components?: readonly { readonly sku: string; readonly count: number }[];
  }[];
}

export interface InventoryParts {
  readonly shop: string;
  readonly clock: SandboxClock;
  readonly random: SeededRandom;
  readonly records: Records;
  readonly settings: ShopSettings;
  readonly newId: () => string;
  readonly violate: (kind: ViolationKind, detail: string) => void;
}

const MAX_HISTORY = 256;

/** Warehouses, products and their figures. Every change of a figure goes through `set`, which records it. */
export class ShopInventory {
  readonly warehouses = new Map<string, Warehouse>();
  readonly products = new Map<string, Product>();
  readonly skus = new Map<string, Sku>();
  /** Refusals by SKU: TikTok's code for every update of it, or the promotion lock that forbids lowering. */
  readonly refusals = new Map<string, { readonly code: number; readonly warehouseId?: string }>();
  /** Called when a client was shown the figures of a SKU. */
  onRead: (sku: Sku) => void = () => {};
  /** The first of each name. */
  readonly #bySellerSku = new Map<string, Sku>();
  readonly #parts: InventoryParts;

  constructor(parts: InventoryParts) {
    this.#parts = parts;
  }

  addWarehouse(warehouse: Omit<Warehouse, 'id' | 'isDefault'> & { readonly id?: string }): Warehouse {
    const id = warehouse.id ?? this.#parts.newId();
    const added = { ...warehouse, id, isDefault: this.warehouses.size === 0 };
    this.warehouses.set(id, added);
    return added;
  }

  get defaultWarehouse(): Warehouse {
    const [first] = this.warehouses.values();
    if (!first) throw new Error('the shop has no warehouse');
    return first;
  }

  addProduct(wanted: NewProduct): Product {
    const now = this.#parts.clock.now();
    const id = wanted.id ?? this.#parts.newId();
    const product: Product = {
      id,
      title: wanted.title ?? `Product ${id}`,
      status: wanted.status ?? 'ACTIVATE',
      skus: [],
      createdAt: now,
      updatedAt: now,
    };
    for (const row of wanted.skus) {
      const components = (row.components ?? []).map((component): Component => ({
        sku: this.sku(component.sku),
        count: component.count,
      }));
      const sku: Sku = {
        id: row.id ?? this.#parts.newId(),
        product,
        sellerSku: row.sku,
        levels: new Map(),
        components,
      };
      const { quantities = 0 } = row;
      const places = typeof quantities === 'number' ? { [this.defaultWarehouse.id]: quantities } : quantities;
      for (const [warehouseId, available] of Object.entries(places))
        sku.levels.set(warehouseId, { sku, warehouseId, available, committed: 0, history: [] });
      product.skus.push(sku);
      this.skus.set(sku.id, sku);
      if (!this.#bySellerSku.has(row.sku)) this.#bySellerSku.set(row.sku, sku);
    }
    this.products.set(id, product);
    return product;
  }

  /** By seller SKU or id. */
  sku(name: string): Sku {
    const found = this.skus.get(name) ?? this.#bySellerSku.get(name);
    if (!found) throw new Error(`no SKU ${name}`);
    return found;
  }

  level(name: string, warehouseId?: string): Level {
    const sku = this.sku(name);
    const level = sku.levels.get(warehouseId ?? this.defaultWarehouse.id) ?? [...sku.levels.values()][0];
    if (!level) throw new Error(`no level of ${name}`);
    return level;
  }

  set(
    level: Level,
    change: { available?: number; committed?: number },
    cause: ChangeCause,
    reference: string | null,
  ) {
    const { clock, records, shop } = this.#parts;
    const at = clock.now();
    level.history.push({ until: at, available: level.available, committed: level.committed });
    if (level.history.length > MAX_HISTORY) level.history.shift();
    for (const name of ['available', 'committed'] as const) {
      const to = change[name];
      if (to === undefined) continue;
      const from = level[name];
      level[name] = to;
      const { sku, warehouseId } = level;
      records.audit.add({
        at,
        shop,
        sku: sku.sellerSku,
        skuId: sku.id,
        warehouseId,
        name,
        from,
        to,
        cause,
        reference,
      });
    }
    const { sku, warehouseId, available, committed } = level;
    records.levelChanged({
      at,
      shop,
      sku: sku.sellerSku,
      skuId: sku.id,
      warehouseId,
      available,
      committed,
      cause,
    });
  }

  /** The figures as a read shows them now. */
  shown(level: Level): { readonly available: number; readonly committed: number } {
    this.onRead(level.sku);
    const asOf = this.#parts.clock.now() - this.#parts.settings.readLagMs;
    return level.history.find((past) => past.until > asOf) ?? level;
  }

  touch(product: Product): void {
    product.updatedAt = this.#parts.clock.now();
  }

  setStatus(product: Product, status: ProductStatus): void {
    product.status = status;
    this.touch(product);
  }
}
