/** A row of the JSONL result; children carry the id of the node they hang on. */
export type JsonRow = Readonly<Record<string, unknown>>;

export interface FlatRows {
  readonly parents: JsonRow[];
  readonly children: JsonRow[];
}

/** Turns the data of one connection (`edges { node }`) into rows; nested connections become rows of their own. */
export function flatten(data: unknown): FlatRows {
  const rows: FlatRows = { parents: [], children: [] };
  for (const connection of Object.values((data ?? {}) as Record<string, unknown>))
    for (const node of nodesOf(connection)) rows.parents.push(rowOf(node, rows.children));
  return rows;
}

function rowOf(node: JsonRow, children: JsonRow[]): JsonRow {
  const row: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(node)) {
    if (!isConnection(value)) row[key] = value;
    else
      for (const child of nodesOf(value))
        children.push({ ...rowOf(child, children), __parentId: node['id'] });
  }
  return row;
}

const isConnection = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Array.isArray((value as { edges?: unknown }).edges);

function nodesOf(connection: unknown): JsonRow[] {
  if (!isConnection(connection)) return [];
  return (connection as { edges: { node: JsonRow }[] }).edges.map((edge) => edge.node);
}
