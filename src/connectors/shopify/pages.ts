import { StockmeshError } from '../../domain/errors.ts';
import { type JsonRecord, isRecord } from '../raw-json.ts';
import type { GraphqlOperation } from './documents.ts';
import { type GraphqlAnswer, type ShopifyGraphql, type Variables, failureOf } from './graphql.ts';
import { connectionOf } from './graphql-order.ts';
import type { GraphqlOutcome } from './graphql-outcome.ts';
import { platform } from './options.ts';

const maxPagesPerConnection = 200;

export function unreadable(operation: string, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason });
}

export function stuck(operation: string, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_WALK_STUCK', { platform, operation, reason });
}

/** A member of an answer that must be an object. */
export function part(record: Readonly<Record<string, unknown>>, name: string, operation: string): JsonRecord {
  const value = record[name];
  if (!isRecord(value)) throw unreadable(operation, `${name} is missing`);
  return value;
}

export interface ConnectionPages {
  readonly graphql: ShopifyGraphql;
  readonly operation: GraphqlOperation;
  readonly variables: Variables;
  /** The object that holds the connection, in an answer; null when it is gone. */
  readonly holder: (data: Readonly<Record<string, unknown>>) => JsonRecord | null;
  readonly connection: string;
  readonly signal: AbortSignal;
}

/** Nodes of a connection from a cursor (undefined: from its beginning) to its end; null when its holder is gone. */
export async function restOfConnection(
  pages: ConnectionPages,
  after: string | undefined,
  onPage?: (holder: JsonRecord) => void,
): Promise<readonly unknown[] | null> {
  const { name } = pages.operation;
  const nodes: unknown[] = [];
  const seen = new Set<string>();
  for (let cursor: string | undefined = after; seen.size <= maxPagesPerConnection;) {
    const variables = { ...pages.variables, after: cursor ?? null };
    const answer = await pages.graphql.read(pages.operation, variables, pages.signal);
    const holder = pages.holder(answer.data);
    if (holder === null) return null;
    onPage?.(holder);
    const page = connectionOf(holder, pages.connection);
    if (!page.isReadable) throw unreadable(name, `${pages.connection} is not a connection`);
    nodes.push(...page.nodes);
    if (page.next === undefined) return nodes;
    if (seen.has(page.next)) throw stuck(name, 'a cursor came twice');
    seen.add(page.next);
    cursor = page.next;
  }
  throw stuck(name, `more than ${maxPagesPerConnection} pages`);
}

/**
 * Page size of one kind of read. Shopify refuses queries above 1,000 points by a formula it does not publish, so the
 * size starts generous and is halved when a query turns out too costly.
 */
export class PageSize {
  #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  get value(): number {
    return this.#size;
  }

  /** Reads with as many rows as Shopify allows; `request` is called again with fewer when they were too many. */
  async read(
    graphql: ShopifyGraphql,
    operation: GraphqlOperation,
    variablesFor: (size: number) => Variables,
    signal: AbortSignal,
  ): Promise<GraphqlAnswer> {
    const outcome = await this.tryRead(graphql, operation, variablesFor, signal);
    if (outcome.kind !== 'answer') throw failureOf(operation.name, outcome);
    return outcome;
  }

  async tryRead(
    graphql: ShopifyGraphql,
    operation: GraphqlOperation,
    variablesFor: (size: number) => Variables,
    signal: AbortSignal,
  ): Promise<GraphqlOutcome> {
    for (;;) {
      const size = this.#size;
      const outcome = await graphql.tryRead(operation, variablesFor(size), signal);
      if (outcome.kind !== 'too-costly' || size <= 1) return outcome;
      this.#size = Math.min(this.#size, Math.floor(size / 2));
    }
  }
}
