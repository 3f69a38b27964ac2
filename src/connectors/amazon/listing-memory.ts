import type { ListingFacts } from './listing-item.ts';

const maxSkus = 500_000;

/**
 * What the reads of this process have told about each SKU, for the guard before a write: is it fulfilled by Amazon, and
 * which product type does a patch name. Only a copy: an unknown SKU is read before it is written.
 */
export class ListingMemory {
  readonly #skus = new Map<
    string,
    { readonly isForeign: boolean; readonly productType: string | undefined }
  >();

  note(facts: ListingFacts): void {
    const { sku, foreignCodes, productType } = facts;
    const isForeign = foreignCodes.length > 0;
    const known = this.#skus.get(sku);
    // Its place in the order means nothing while there is room for all.
    const isSame = known?.isForeign === isForeign && known.productType === productType;
    if (isSame && this.#skus.size < maxSkus / 2) return;
    // The oldest knowledge goes first: a SKU that is still listed is read again and comes back as the newest.
    this.#skus.delete(sku);
    if (this.#skus.size >= maxSkus) {
      const oldest = this.#skus.keys().next();
      if (oldest.done !== true) this.#skus.delete(oldest.value);
    }
    this.#skus.set(sku, { isForeign, productType });
  }

  forget(sku: string): void {
    this.#skus.delete(sku);
  }

  /** Undefined: not known. */
  isForeign(sku: string): boolean | undefined {
    return this.#skus.get(sku)?.isForeign;
  }

  /** `PRODUCT` stands for any product type in a patch that touches the offer only. */
  productTypeOf(sku: string): string {
    return this.#skus.get(sku)?.productType ?? 'PRODUCT';
  }
}
