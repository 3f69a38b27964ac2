import type { ChannelId, Sku } from '../domain/ids.ts';

export interface SkuEvidenceOptions {
  /** The channel whose SKUs are the merchant's; absent: every text that a channel shows is a SKU. */
  readonly skusFrom?: ChannelId | undefined;
  /** SKUs that need no channel to be known: bundles of the catalogue. */
  readonly isNamed?: ((sku: Sku) => boolean) | undefined;
}

/**
 * What all channels together tell of SKUs: which barcode stands for which, and which are the merchant's at all. Only
 * listings tied by their SKU or by a person count: one that was tied by a barcode proves nothing about that barcode.
 */
export class SkuEvidence {
  readonly skusFrom: ChannelId | undefined;
  readonly #isNamed: (sku: Sku) => boolean;
  readonly #byGtin = new Map<string, Map<Sku, Set<string>>>();
  readonly #ofListing = new Map<string, { readonly gtin: string; readonly sku: Sku }>();
  #isInReference: ((sku: Sku) => boolean) | undefined;
  #isReferenceRead: () => boolean = () => false;

  constructor({ skusFrom, isNamed }: SkuEvidenceOptions = {}) {
    this.skusFrom = skusFrom;
    this.#isNamed = isNamed ?? (() => false);
  }

  /** The reference channel's own map says what is in it. */
  useReference(isIn: (sku: Sku) => boolean, isRead: () => boolean): void {
    this.#isInReference = isIn;
    this.#isReferenceRead = isRead;
  }

  /** Undefined: the text is a SKU; otherwise why it is none. */
  strangeTo(channel: ChannelId, sku: Sku): string | undefined {
    if (this.skusFrom === undefined || channel === this.skusFrom) return undefined;
    if (this.#isInReference?.(sku) === true || this.#isNamed(sku)) return undefined;
    return this.#isReferenceRead()
      ? `${JSON.stringify(sku)} is no SKU of ${this.skusFrom}`
      : `the SKUs of ${this.skusFrom} were not read yet`;
  }

  skusOf(gtin: string): readonly Sku[] {
    return [...(this.#byGtin.get(gtin)?.keys() ?? [])].toSorted();
  }

  note(channel: ChannelId, listing: string, sku: Sku, gtin: string | undefined): void {
    const key = `${channel} ${listing}`;
    const before = this.#ofListing.get(key);
    if (before !== undefined && before.sku === sku && before.gtin === gtin) return;
    this.forget(channel, listing);
    if (gtin === undefined) return;
    this.#ofListing.set(key, { gtin, sku });
    let skus = this.#byGtin.get(gtin);
    if (skus === undefined) this.#byGtin.set(gtin, (skus = new Map()));
    const listings = skus.get(sku);
    if (listings === undefined) skus.set(sku, new Set([key]));
    else listings.add(key);
  }

  forget(channel: ChannelId, listing: string): void {
    const key = `${channel} ${listing}`;
    const before = this.#ofListing.get(key);
    if (before === undefined) return;
    this.#ofListing.delete(key);
    const skus = this.#byGtin.get(before.gtin);
    const listings = skus?.get(before.sku);
    listings?.delete(key);
    if (listings?.size === 0) skus?.delete(before.sku);
    if (skus?.size === 0) this.#byGtin.delete(before.gtin);
  }
}
