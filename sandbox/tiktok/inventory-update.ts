import type { SandboxClock } from '../shopify/clock.ts';
import type { SeededRandom } from '../shopify/random.ts';
import type { ShopInventory } from './inventory.ts';
import type { Level, Sku } from './model.ts';
import type { ViolationKind } from './records.ts';
import type { ShopSettings } from './shop-options.ts';

export interface ApiResult {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

interface UpdateParts {
  readonly inventory: ShopInventory;
  readonly clock: SandboxClock;
  readonly random: SeededRandom;
  readonly settings: ShopSettings;
  readonly violate: (kind: ViolationKind, detail: string) => void;
}

interface Put {
  readonly level: Level;
  readonly quantity: number;
}

interface ExtraError {
  readonly warehouse_id: string;
  readonly code: number;
  readonly message: string;
}

const MAX_SKUS = 100;
const MAX_QUANTITY = 99_999;
const CAMPAIGN_LOCK = 12052393;

const messages: Readonly<Record<number, string>> = {
  12019022: 'SKU must contain a valid warehouse.',
  12019028:
    'Multiple warehouses detected. Include all warehouse IDs and the corresponding details and try again.',
  12052032: 'The product does not exist',
  12052036: 'The SKU ID is necessary',
  12052050: 'A single product cannot have more than 100 different SKUs',
  12052055: 'The SKU inventory quantity for the warehouse must be within allowed limits.',
  12052097: 'The warehouse does not exist',
  12052393: "Product locked for Promotion and stock can't be updated below current stock",
  12052533:
    'Removal, addition, and change of warehouses are not permitted. Please specify the original warehouses for the SKUs.',
  12052553: 'Sku id duplicate',
  12052556: 'The SKU id not exist.',
  12052850: 'The stock of combo does not support being edited.',
  12052901:
    'The product in its current status is not available for this operation. Change the product status and try again.',
  12052902: 'The SKU list is empty. Either omit the list entirely, or provide all required details.',
};

export function refusal(code: number): ApiResult {
  return { code, message: messages[code] ?? 'refused' };
}

/**
 * `inventory/update`: absolute figures of one product, all warehouses of each SKU. What is wrong with the request refuses it
 * whole; what is wrong with a SKU is an error inside code 0, and the other SKUs are applied. A write overwrites what was
 * sold since its author looked: that is the platform's race, not a fault.
 */
export function updateInventory(
  parts: UpdateParts,
  productId: string,
  body: unknown,
  requestId: string,
  isLost: boolean,
): ApiResult {
  const { inventory, violate, settings, random, clock } = parts;
  const product = inventory.products.get(productId);
  if (!product) return refusal(12052032);
  if (product.status !== 'ACTIVATE') return refusal(12052901);
  const rows = listOf(recordOf(body)?.['skus']);
  if (rows.length === 0) return refusal(12052902);
  if (rows.length > MAX_SKUS) {
    violate('over-limit', `${rows.length} SKUs`);
    return refusal(12052050);
  }
  const puts: Put[] = [];
  const errors: unknown[] = [];
  const seen = new Set<string>();
  for (const row of rows) {
    const id = recordOf(row)?.['id'];
    if (typeof id !== 'string') return refusal(12052036);
    if (seen.has(id)) return refusal(12052553);
    seen.add(id);
    const sku = product.skus.find((candidate) => candidate.id === id);
    if (!sku) {
      if (inventory.skus.has(id)) violate('other-product', `${id} is not of product ${productId}`);
      return refusal(12052556);
    }
    const places = listOf(recordOf(row)?.['inventory']).map(recordOf);
    const named = new Set(places.map((place) => String(place?.['warehouse_id'])));
    const left = [...sku.levels.keys()].filter((warehouseId) => !named.has(warehouseId));
    if (left.length > 0) {
      violate('missing-warehouse', `${sku.sellerSku} without ${left.join(', ')}`);
      return refusal(12019028);
    }
    const own = putsOf(parts, sku, places);
    if (own.errors.length === 0) puts.push(...own.puts);
    else
      errors.push({
        code: 12052990,
        message: 'Check failed',
        detail: { sku_id: id, extra_errors: own.errors },
      });
  }
  if (!isLost && puts.length > 0) {
    const delayMs = random.between(settings.applyDelayMs);
    const apply = (): void => {
      for (const { level, quantity } of puts)
        inventory.set(level, { available: quantity }, 'inventory-update', requestId);
      inventory.touch(product);
    };
    if (delayMs <= 0) apply();
    else clock.schedule(delayMs, apply);
  }
  return { code: 0, message: 'Success', data: errors.length === 0 ? {} : { errors } };
}

function putsOf(
  { inventory, settings, violate }: UpdateParts,
  sku: Sku,
  places: readonly (Readonly<Record<string, unknown>> | undefined)[],
): { readonly puts: readonly Put[]; readonly errors: readonly ExtraError[] } {
  const puts: Put[] = [];
  const errors: ExtraError[] = [];
  const configured = inventory.refusals.get(sku.id);
  for (const place of places) {
    const warehouseId = String(place?.['warehouse_id']);
    const fail = (code: number): void => {
      errors.push({ warehouse_id: warehouseId, code, message: messages[code] ?? 'refused' });
    };
    const level = sku.levels.get(warehouseId);
    const quantity = place?.['quantity'];
    if (!level) fail(inventory.warehouses.has(warehouseId) ? 12052533 : 12052097);
    else if (sku.components.length > 0) fail(12052850);
    else if (
      typeof quantity !== 'number' ||
      !Number.isSafeInteger(quantity) ||
      quantity < 0 ||
      quantity > MAX_QUANTITY
    ) {
      violate('quantity-out-of-range', `${sku.sellerSku}: ${String(quantity)}`);
      fail(12052055);
    } else if (quantity === 0 && !settings.zeroAllowed) fail(12052055);
    else if (configured && (configured.warehouseId ?? warehouseId) === warehouseId) {
      if (configured.code !== CAMPAIGN_LOCK || quantity < level.available) fail(configured.code);
      else puts.push({ level, quantity });
    } else puts.push({ level, quantity });
  }
  return { puts, errors };
}

export function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
