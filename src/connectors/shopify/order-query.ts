import type { Clock, ConnectorLog } from '../ports.ts';
import type { GraphqlOperation } from './documents.ts';
import { type GraphqlAnswer, type ShopifyGraphql, type Variables, failureOf } from './graphql.ts';
import type { GraphqlOutcome } from './graphql-outcome.ts';
import type { PageSize } from './pages.ts';

const pauseMs = 600_000;

/**
 * Reads of orders. Their fulfilments fail at times where the rest does not (a fulfilment service's location that the app
 * may not see). Orders are then read without them for a while: shipped units follow from those still open, and only the
 * places they left from stay unknown. A missing order would be far worse.
 */
export class OrderQuery {
  readonly #graphql: ShopifyGraphql;
  readonly #clock: Clock;
  readonly #log: ConnectorLog;
  #leanUntilMs = 0;

  constructor(graphql: ShopifyGraphql, clock: Clock, log: ConnectorLog) {
    this.#graphql = graphql;
    this.#clock = clock;
    this.#log = log;
  }

  async read(
    operation: GraphqlOperation,
    pageSize: PageSize,
    variablesFor: (size: number) => Variables,
    signal: AbortSignal,
  ): Promise<GraphqlAnswer> {
    const ask = (withFulfillments: boolean): Promise<GraphqlOutcome> =>
      pageSize.tryRead(
        this.#graphql,
        operation,
        (size) => ({ ...variablesFor(size), withFulfillments }),
        signal,
      );
    const isLean = this.#clock.nowMs() < this.#leanUntilMs;
    let outcome = await ask(!isLean);
    if (!isLean && concernsFulfillments(outcome)) {
      const lean = await ask(false);
      if (lean.kind === 'answer') {
        this.#leanUntilMs = this.#clock.nowMs() + pauseMs;
        const reason = 'reason' in outcome ? outcome.reason : outcome.kind;
        this.#log.warn({ reason, pauseMs }, 'fulfilments cannot be read: orders are read without them');
        outcome = lean;
      }
    }
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    return outcome;
  }
}

function concernsFulfillments(outcome: GraphqlOutcome): boolean {
  if (outcome.kind !== 'refused' && outcome.kind !== 'unknown') return false;
  return (outcome.paths ?? []).some((path) => path.split('.').includes('fulfillments'));
}
