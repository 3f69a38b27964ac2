import { type JsonRecord, isRecord, listOf, textOf } from '../raw-json.ts';
import { documents, orderListPage, wholeListPage } from './documents.ts';
import type { ShopifyGraphql } from './graphql.ts';
import { type WholeOrder, connectionOf } from './graphql-order.ts';
import { idOf } from './ids.ts';
import { restOfConnection } from './pages.ts';

export type Completion =
  | { readonly kind: 'whole'; readonly whole: WholeOrder }
  /** The order changed between two of its pages: read it again from the beginning. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unreadable'; readonly reason: string };

interface RowList {
  readonly holder: JsonRecord;
  readonly rows: readonly unknown[];
}

/** Follows everything in an order that did not fit into its first page: lines, refunds, fulfilments and their rows. */
export class OrderCompletion {
  readonly #graphql: ShopifyGraphql;

  constructor(graphql: ShopifyGraphql) {
    this.#graphql = graphql;
  }

  async complete(order: JsonRecord, signal: AbortSignal): Promise<Completion> {
    const id = textOf(order['id']) ?? '';
    // Every further page says the order's `updatedAt` too: the one sign that all pages show the same state.
    const updatedAt = order['updatedAt'];
    let hasChanged = false;
    const check = (holder: JsonRecord): void => {
      if (holder['updatedAt'] !== updatedAt) hasChanged = true;
    };

    const lines = await this.#lines(order, id, check, signal);
    if (lines === null) return { kind: 'gone' };
    const refunds = await this.#lists(order, 'refunds', id, check, signal);
    // Left out on purpose when they cannot be read (order-query.ts).
    const areAsked = order['fulfillments'] !== undefined;
    const fulfillments = areAsked ? await this.#lists(order, 'fulfillments', id, check, signal) : undefined;
    if (hasChanged) return { kind: 'changed' };
    if (typeof refunds === 'string') return { kind: 'unreadable', reason: refunds };
    if (typeof fulfillments === 'string') return { kind: 'unreadable', reason: fulfillments };
    return {
      kind: 'whole',
      whole: {
        order,
        lines: lines.rows,
        refunds: refunds.map(({ holder, rows }) => ({ refund: holder, rows })),
        fulfillments: fulfillments?.map(({ holder, rows }) => ({ fulfillment: holder, rows })),
        isPartial: lines.isPartial,
      },
    };
  }

  async #lines(
    order: JsonRecord,
    id: string,
    check: (holder: JsonRecord) => void,
    signal: AbortSignal,
  ): Promise<{ rows: readonly unknown[]; isPartial: boolean } | null> {
    const first = connectionOf(order, 'lineItems');
    if (!first.isReadable) return { rows: first.nodes, isPartial: true };
    if (first.next === undefined) return { rows: first.nodes, isPartial: false };
    const operation = documents.orderLines;
    const holder = orderHolder;
    const pages = {
      graphql: this.#graphql,
      operation,
      variables: { id },
      holder,
      connection: 'lineItems',
      signal,
    };
    const rest = await restOfConnection(pages, first.next, check);
    return rest === null ? null : { rows: [...first.nodes, ...rest], isPartial: false };
  }

  /** Refunds or fulfilments with all their rows, or why they cannot be read. */
  async #lists(
    order: JsonRecord,
    name: 'refunds' | 'fulfillments',
    id: string,
    check: (holder: JsonRecord) => void,
    signal: AbortSignal,
  ): Promise<readonly RowList[] | string> {
    let list = listOf(order[name]);
    // A plain list has no cursor: a full one may have been cut, so it is read again at its greatest length.
    if (list !== undefined && list.length >= orderListPage) {
      const operation = name === 'refunds' ? documents.orderRefunds : documents.orderFulfillments;
      const answer = await this.#graphql.read(operation, { id }, signal);
      const holder = orderHolder(answer.data);
      if (holder === null) return `the order has no ${name} any more`;
      check(holder);
      list = listOf(holder[name]);
      if ((list?.length ?? 0) >= wholeListPage) return `the order has ${wholeListPage} or more ${name}`;
    }
    if (list === undefined) return `the order's ${name} are missing`;
    const found: RowList[] = [];
    const seen = new Set<string>();
    for (const holder of list) {
      const holderId = isRecord(holder) ? idOf(holder['id']) : undefined;
      if (!isRecord(holder) || holderId === undefined) return `one of the order's ${name} has no id`;
      // A list that is read twice may show one entry twice; counted twice it would cancel units that were not.
      if (seen.has(holderId)) continue;
      seen.add(holderId);
      const rows = await this.#rows({ order: id, holder, holderId, name, count: list.length }, check, signal);
      if (rows === undefined) return `rows of the order's ${name} are missing`;
      found.push({ holder, rows });
    }
    return found;
  }

  async #rows(
    list: {
      readonly order: string;
      readonly holder: JsonRecord;
      readonly holderId: string;
      readonly name: 'refunds' | 'fulfillments';
      readonly count: number;
    },
    check: (holder: JsonRecord) => void,
    signal: AbortSignal,
  ): Promise<readonly unknown[] | undefined> {
    const { name } = list;
    const connection = name === 'refunds' ? 'refundLineItems' : 'fulfillmentLineItems';
    const first = connectionOf(list.holder, connection);
    if (!first.isReadable) return undefined;
    if (first.next === undefined) return first.nodes;
    const pages = {
      graphql: this.#graphql,
      operation: name === 'refunds' ? documents.refundRows : documents.fulfillmentRows,
      variables: { id: list.order, count: list.count },
      holder: (data: Readonly<Record<string, unknown>>) => {
        const order = orderHolder(data);
        if (order !== null) check(order);
        const same = listOf(order?.[name])?.find(
          (entry) => isRecord(entry) && idOf(entry['id']) === list.holderId,
        );
        return isRecord(same) ? same : null;
      },
      connection,
      signal,
    };
    const rest = await restOfConnection(pages, first.next);
    return rest === null ? undefined : [...first.nodes, ...rest];
  }
}

function orderHolder(data: Readonly<Record<string, unknown>>): JsonRecord | null {
  return isRecord(data['order']) ? data['order'] : null;
}
