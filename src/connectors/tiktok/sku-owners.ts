import { RowIndex } from '../../domain/row-index.ts';

export interface SkuOwner {
  readonly productId: string;
  readonly skuId: string;
}

type Ids = BigUint64Array<ArrayBuffer>;

const largestId = 2n ** 64n;

/**
 * Which SKU of TikTok showed each seller SKU first, during one walk over a catalogue of any size: two numbers of 64 bits
 * and the hash of the text, instead of the listings themselves. An id that is no such number is kept as text.
 */
export class SkuOwners {
  readonly #index = new RowIndex();
  #productIds = new BigUint64Array(64);
  #skuIds = new BigUint64Array(64);
  readonly #texts = new Map<number, SkuOwner>();

  /** The other SKU that showed it before; undefined: none, and this one is its owner from now on. */
  claim(sellerSku: string, owner: SkuOwner): SkuOwner | undefined {
    const { size } = this.#index;
    const row = this.#index.add(sellerSku);
    if (row === size) {
      this.#keep(row, owner);
      return undefined;
    }
    const first = this.#texts.get(row) ?? {
      productId: String(this.#productIds[row]),
      skuId: String(this.#skuIds[row]),
    };
    return first.skuId === owner.skuId && first.productId === owner.productId ? undefined : first;
  }

  #keep(row: number, owner: SkuOwner): void {
    const [productId, skuId] = [numberOf(owner.productId), numberOf(owner.skuId)];
    if (productId === undefined || skuId === undefined) {
      this.#texts.set(row, owner);
      return;
    }
    if (row >= this.#skuIds.length) {
      this.#productIds = grown(this.#productIds, row);
      this.#skuIds = grown(this.#skuIds, row);
    }
    this.#productIds[row] = productId;
    this.#skuIds[row] = skuId;
  }
}

/** Undefined for what would not come back as the same text. */
function numberOf(id: string): bigint | undefined {
  if (!/^(?:0|[1-9]\d{0,19})$/.test(id)) return undefined;
  const value = BigInt(id);
  return value < largestId ? value : undefined;
}

function grown(ids: Ids, row: number): Ids {
  const more = new BigUint64Array(Math.max(ids.length * 2, row + 1));
  more.set(ids);
  return more;
}
