import { maxSkusPerRead } from './options.ts';

const productsPerPage = 100;
/** TikTok says of no shop how many SKUs its products have. */
const skusPerProduct = 10;

/** How long pages of products and reads of so many SKUs take at the pace that is kept: TikTok publishes no rate any more. */
export function fullReadMs(listings: number, readsPerS: number): number {
  const pages = Math.ceil(listings / skusPerProduct / productsPerPage);
  return ((pages + Math.ceil(listings / maxSkusPerRead)) * 1_000) / readsPerS;
}
