import type { Clock } from '../ports.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';
import type { TiktokApi } from './api.ts';
import { endpoints } from './endpoints.ts';
import { idOf } from './ids.ts';
import { unreadable } from './outcome.ts';

export interface Warehouse {
  readonly id: string;
  readonly name: string;
  /** Only an enabled sales warehouse sells; the same building has another id for its returns. */
  readonly sells: boolean;
}

const keepMs = 600_000;

export class Warehouses {
  readonly #api: TiktokApi;
  readonly #clock: Clock;
  #known: { readonly byId: ReadonlyMap<string, Warehouse>; readonly atMs: number } | undefined;

  constructor(api: TiktokApi, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  forget(): void {
    this.#known = undefined;
  }

  async all(signal: AbortSignal): Promise<ReadonlyMap<string, Warehouse>> {
    if (this.#known !== undefined && this.#clock.nowMs() - this.#known.atMs < keepMs) return this.#known.byId;
    const { data } = await this.#api.read({ endpoint: endpoints.warehouses }, signal);
    const rows = listOf(data['warehouses']);
    if (rows === undefined) throw unreadable(endpoints.warehouses.name, 'warehouses is no list');
    const byId = new Map<string, Warehouse>();
    for (const row of rows) {
      const id = isRecord(row) ? idOf(row['id']) : undefined;
      if (!isRecord(row) || id === undefined) continue;
      const isSales = (textOf(row['type']) ?? 'SALES_WAREHOUSE') === 'SALES_WAREHOUSE';
      const isEnabled = (textOf(row['effect_status']) ?? 'ENABLED') === 'ENABLED';
      byId.set(id, { id, name: textOf(row['name']) ?? '', sells: isSales && isEnabled });
    }
    this.#known = { byId, atMs: this.#clock.nowMs() };
    return byId;
  }
}
