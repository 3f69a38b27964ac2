/** What an operation gets that does not say `first`. */
export const USUAL_FIRST = 100;

export interface Page {
  readonly first: number;
  readonly after: string | null | undefined;
}

/** Only the rows of the page are written out: `nodeOf`. */
export function connectionOf<Row, Node>(
  rows: readonly Row[],
  { first, after }: Page,
  nodeOf: (row: Row) => Node,
) {
  const start = after ? Number(plainId(after) ?? -1) + 1 : 0;
  const size = first ?? USUAL_FIRST;
  const nodes = rows.slice(start, start + size).map((row) => nodeOf(row));
  const edges = nodes.map((node, index) => ({ node, cursor: globalId('arrayconnection', start + index) }));
  return {
    edges,
    pageInfo: {
      hasNextPage: start + size < rows.length,
      hasPreviousPage: start > 0,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

/** Without an offset, as ShipHero writes them. */
export function iso(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19);
}

export function globalId(kind: string, id: number | string): string {
  return Buffer.from(`${kind}:${id}`).toString('base64');
}

export function plainId(id: string | undefined): string | undefined {
  if (id === undefined || /^\d+$/.test(id)) return id;
  return /:(.+)$/.exec(Buffer.from(id, 'base64').toString('latin1'))?.[1];
}
