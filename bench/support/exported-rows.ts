/** What the daemon exports (`stockmesh export WHAT --format jsonl`): `sync`, its writes and readings, or `history`. */
export async function exportedRows<Row>(privateUrl: string, what: 'history' | 'sync'): Promise<Row[]> {
  const response = await fetch(`${privateUrl}/exports/${what}?format=jsonl`, {
    signal: AbortSignal.timeout(30_000),
  });
  const lines = (await response.text()).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
}
