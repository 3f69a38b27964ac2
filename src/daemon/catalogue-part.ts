import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { catalogueRules } from '../config/catalogue.ts';
import type { Config } from '../config/configuration.ts';
import { Catalogue } from '../domain/catalogue.ts';
import type { Sku } from '../domain/ids.ts';
import { type BundleBook, BundleHistory } from '../mesh/bundle-history.ts';
import { CrossingMetrics, Crossings } from '../mesh/crossings.ts';
import { meshKeys } from '../mesh/mesh-keys.ts';
import type { LedgerPart } from './ledger-part.ts';
import type { RedisPart } from './redis-part.ts';

/** What the merchant says of SKUs, and who is told when one runs low. */
export interface CataloguePart {
  readonly catalogue: Catalogue;
  readonly crossings: Crossings;
  readonly bundles: BundleBook;
}

export async function openCatalogue(
  config: Config,
  redis: RedisPart,
  ledger: LedgerPart,
  registry: Registry,
  log: Logger,
): Promise<CataloguePart> {
  const catalogue = new Catalogue(catalogueRules(config.catalogue));
  const metrics = new CrossingMetrics(registry);
  const crossings = new Crossings({ source: ledger.projection, catalogue, metrics, log });
  crossings.start();
  const bundles = new BundleHistory(redis.commands, meshKeys(ledger.keys).bundles);
  const isKnown = (sku: Sku): boolean => ledger.projection.levelsOf(sku) !== undefined;
  await bundles.update(catalogue, ledger.ledger.nowMs(), isKnown);
  return { catalogue, crossings, bundles };
}
