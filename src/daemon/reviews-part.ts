import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import type { Catalogue } from '../domain/catalogue.ts';
import type { AlertSink } from '../mesh/alerts/alert.ts';
import type { MeshKeys } from '../mesh/mesh-keys.ts';
import { OversellReviews } from '../mesh/oversell-reviews.ts';
import type { LedgerPart } from './ledger-part.ts';
import type { PolicyBooks } from './policy-books.ts';
import type { RedisPart } from './redis-part.ts';

export interface ReviewsPartOptions {
  readonly config: Config;
  readonly ledger: LedgerPart;
  readonly redis: RedisPart;
  readonly keys: MeshKeys;
  readonly catalogue: Catalogue;
  readonly policies: PolicyBooks;
  readonly alerts: AlertSink;
  readonly registry: Registry;
  readonly log: Logger;
}

/** Follows the log for orders that an allowance of the configuration let sell what was not there. */
export function openReviews(options: ReviewsPartOptions): OversellReviews {
  const { config, ledger, redis, keys, catalogue, policies, alerts, registry, log } = options;
  const reviews = new OversellReviews({
    redis: redis.commands,
    key: keys.reviews,
    mesh: ledger.mesh,
    history: ledger.history,
    // A component may have gone with a bundle that may.
    isAllowed: (channel, sku) =>
      [sku, ...catalogue.bundlesWith(sku)].some(
        (one) => (policies.get(channel)?.of(one).policy.oversellUnits ?? 0) > 0,
      ),
    withinMs: config.policies.reviewWithinMs,
    alerts,
    registry,
    log,
  });
  ledger.reader.add({ onEntries: reviews.onEntries });
  return reviews;
}
