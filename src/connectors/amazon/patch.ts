import { defaultChannelCode } from './fields.ts';

/** More than any warehouse holds; Amazon refuses far smaller numbers in some categories. */
export const maxQuantity = 1_000_000_000;

/**
 * The change of one SKU's quantity, the same in a single write and in a feed. `merge` keeps handling time and restock date,
 * which `replace` would wipe (selling-partner-api-models issue 4406); its selector is the channel code.
 */
export function quantityPatch(productType: string, quantity: number) {
  return {
    productType,
    patches: [
      {
        op: 'merge',
        path: '/attributes/fulfillment_availability',
        value: [{ fulfillment_channel_code: defaultChannelCode, quantity }],
      },
    ],
  };
}

/** Why a row can never be sent; undefined when it can. */
export function unsendable(sku: string, quantity: number): string | undefined {
  if (!Number.isSafeInteger(quantity) || quantity < 0 || quantity > maxQuantity)
    return 'the quantity is outside what Amazon takes';
  // As a part of an address these mean the folder itself and the one above it.
  if (sku === '' || sku === '.' || sku === '..') return 'the SKU cannot be part of an address';
  return undefined;
}
