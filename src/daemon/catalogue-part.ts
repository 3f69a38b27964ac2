import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { catalogueRules } from '../config/catalogue.ts';
import type { Config } from '../config/configuration.ts';
import { Catalogue } from '../domain/catalogue.ts';
import { CrossingMetrics, Crossings } from '../mesh/crossings.ts';
import type { LedgerPart } from './ledger-part.ts';

/** What the merchant says of SKUs, and who is told when one runs low. */
export interface CataloguePart {
  readonly catalogue: Catalogue;
  readonly crossings: Crossings;
}

export function openCatalogue(
  config: Config,
  ledger: LedgerPart,
  registry: Registry,
  log: Logger,
): CataloguePart {
  const catalogue = new Catalogue(catalogueRules(config.catalogue));
  const metrics = new CrossingMetrics(registry);
  const crossings = new Crossings({ source: ledger.projection, catalogue, metrics, log });
  crossings.start();
  return { catalogue, crossings };
}
