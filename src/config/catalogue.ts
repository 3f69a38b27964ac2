import type { z } from 'zod';
import type { BundleComponent, CatalogueRules } from '../domain/catalogue.ts';
import type { Sku } from '../domain/ids.ts';
import { coversPattern } from '../domain/sku-pattern.ts';
import type { catalogueSchema } from './catalogue-schema.ts';

type ParsedCatalogue = z.output<typeof catalogueSchema>;
type Say = (path: string, problem: string) => void;

/** The catalogue in the domain's words. */
export function catalogueRules(parsed: ParsedCatalogue): CatalogueRules {
  const bundles = new Map<Sku, readonly BundleComponent[]>();
  for (const [bundle, components] of Object.entries(parsed.bundles)) {
    bundles.set(
      bundle as Sku,
      Object.entries(components).map(([sku, units]) => ({ sku: sku as Sku, units })),
    );
  }
  const { default: general, categories } = parsed;
  const substitutes = new Map(
    Object.entries(parsed.substitutes).map(([sku, others]) => [sku as Sku, others]),
  );
  return { default: general, categories, substitutes, bundles };
}

/** What a catalogue may not say at once. */
export function findCatalogueConflicts(parsed: ParsedCatalogue, say: Say): void {
  const names = new Map<string, number>();
  parsed.categories.forEach(({ name }, index) => {
    const same = names.get(name);
    if (same !== undefined)
      say(`catalogue.categories[${index}].name`, `is the name of categories[${same}] too`);
    else names.set(name, index);
  });
  findHiddenPatterns(
    parsed.categories.map(({ skus }) => skus),
    'catalogue.categories',
    say,
  );
  [
    { at: 'catalogue.default', terms: parsed.default },
    ...parsed.categories.map((category, index) => ({
      at: `catalogue.categories[${index}]`,
      // What counts is what the category ends up with.
      terms: { ...parsed.default, ...dropUndefined(category) },
    })),
  ].forEach(({ at, terms }) => {
    const later = terms.preorder !== undefined ? 'preorder' : 'backorder';
    if (terms.discontinued === true && terms[later] !== undefined) {
      say(`${at}.discontinued`, `contradicts ${later}: what is never ordered again cannot be promised`);
    }
    if (terms.preorder !== undefined && terms.backorder !== undefined) {
      say(`${at}.preorder`, 'contradicts backorder: say one of them');
    }
  });
  for (const [sku, others] of Object.entries(parsed.substitutes)) {
    const at = `catalogue.substitutes[${JSON.stringify(sku)}]`;
    if (others.includes(sku as Sku)) say(at, 'names the SKU itself');
    if (new Set(others).size !== others.length) say(at, 'names a SKU twice');
  }
  for (const [bundle, components] of Object.entries(parsed.bundles)) {
    const at = `catalogue.bundles[${JSON.stringify(bundle)}]`;
    const skus = Object.keys(components);
    if (skus.length === 0) say(at, 'has no components');
    if (skus.length > 50) say(at, 'has more than 50 components');
    for (const sku of skus) {
      const path = `${at}[${JSON.stringify(sku)}]`;
      if (sku === bundle) say(path, 'is the bundle itself');
      else if (Object.hasOwn(parsed.bundles, sku)) say(path, 'is a bundle itself: name its components');
    }
  }
}

/** The first pattern counts, so one that lies wholly within an earlier one would never be used: a mistake of order. */
export function findHiddenPatterns(rows: readonly (readonly string[])[], at: string, say: Say): void {
  rows.forEach((patterns, index) => {
    patterns.forEach((pattern, patternIndex) => {
      for (const [earlierIndex, earlier] of rows.slice(0, index).entries()) {
        const found = earlier.findIndex((wide) => coversPattern(wide, pattern));
        if (found < 0) continue;
        say(
          `${at}[${index}].skus[${patternIndex}]`,
          `is never used: [${earlierIndex}].skus[${found}] has its SKUs and comes first`,
        );
        return;
      }
    });
  });
}

function dropUndefined<Row extends object>(row: Row): Partial<Row> {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as Partial<Row>;
}
