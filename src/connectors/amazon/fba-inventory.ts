import type { PlatformClock } from '../platform-clock.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';
import { member, unitsOf } from './fields.ts';
import { operations } from './operations.ts';
import type { AmazonSettings } from './options.ts';
import type { SpApi, SpApiRequest } from './sp-api.ts';
import { failureOf, stuck, unreadable } from './sp-api-outcome.ts';

/** SKUs of one request. */
export const maxFbaSkus = 50;
const maxPages = 20_000;

export interface FbaStock {
  /** Sellable units by SKU, all conditions together. */
  readonly units: ReadonlyMap<string, number>;
  readonly unreadable: readonly { readonly sku: string; readonly reason: string }[];
  readonly readAtMs: number;
}

/**
 * Stock in Amazon's warehouses, read-only. Sellable is `fulfillableQuantity`; the total would count what is on its way
 * there. The page token lives 30 seconds, so a pass fetches page after page and hands over the whole.
 */
export class FbaInventory {
  readonly #api: SpApi;
  readonly #settings: AmazonSettings;
  readonly #platformClock: PlatformClock;

  constructor(api: SpApi, settings: AmazonSettings, platformClock: PlatformClock) {
    this.#api = api;
    this.#settings = settings;
    this.#platformClock = platformClock;
  }

  /** Everything, or the SKUs given (at most `maxFbaSkus`). */
  async read(skus: readonly string[] | undefined, signal: AbortSignal): Promise<FbaStock> {
    try {
      return await this.#pass(skus, signal);
    } catch (error) {
      if (!(error instanceof TokenExpired)) throw error;
      // A pause in the middle of the pass (a slow answer, a full budget) cost the token: once more from the start.
      return await this.#pass(skus, signal).catch((again: unknown) => {
        throw again instanceof TokenExpired
          ? stuck(operations.getInventorySummaries.name, 'its page token expires')
          : again;
      });
    }
  }

  async #pass(skus: readonly string[] | undefined, signal: AbortSignal): Promise<FbaStock> {
    const operation = operations.getInventorySummaries;
    const units = new Map<string, number>();
    const bad: { sku: string; reason: string }[] = [];
    const usedTokens = new Set<string>();
    let readAtMs: number | undefined;
    let nextToken: string | undefined;
    for (let count = 0; count < maxPages; count++) {
      const outcome = await this.#api.tryRead(operation, this.#request(skus, nextToken), signal);
      if (outcome.kind === 'refused' && nextToken !== undefined) throw new TokenExpired();
      if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
      readAtMs ??= this.#platformClock.at(outcome.sentAtMs);
      const summaries = listOf(member(outcome.body, 'payload')?.['inventorySummaries']);
      if (summaries === undefined) throw unreadable(operation.name, 'inventorySummaries is no list');
      for (const summary of summaries) {
        const sku = isRecord(summary) ? (textOf(summary['sellerSku']) ?? '') : '';
        const details = isRecord(summary) ? member(summary, 'inventoryDetails') : undefined;
        const read = unitsOf(details?.['fulfillableQuantity']);
        if (sku === '') continue;
        if (read.kind === 'bad') bad.push({ sku, reason: read.reason });
        else units.set(sku, (units.get(sku) ?? 0) + read.value);
      }
      nextToken = textOf(member(outcome.body, 'pagination')?.['nextToken']);
      if (nextToken === undefined || nextToken === '') return { units, unreadable: bad, readAtMs };
      if (usedTokens.has(nextToken)) throw stuck(operation.name, 'a token came twice');
      usedTokens.add(nextToken);
    }
    throw stuck(operation.name, `more than ${maxPages} pages`);
  }

  #request(skus: readonly string[] | undefined, nextToken: string | undefined): SpApiRequest {
    const { marketplaceId } = this.#settings;
    const [only] = skus ?? [];
    // A list is one comma-separated value: a SKU that holds a comma goes alone, in the parameter for one.
    const isOne = skus?.length === 1 && only?.includes(',') === true;
    return {
      query: {
        details: true,
        granularityType: 'Marketplace',
        granularityId: marketplaceId,
        marketplaceIds: [marketplaceId],
        sellerSku: isOne ? only : undefined,
        sellerSkus: isOne ? undefined : skus,
        nextToken,
      },
    };
  }
}

class TokenExpired extends Error {}
