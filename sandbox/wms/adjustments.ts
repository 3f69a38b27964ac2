import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { SandboxWarehouse } from './warehouse.ts';

/** One write-off or find of a real warehouse, in the clerk's words. */
export interface Adjustment {
  readonly atMs: number;
  readonly reference: string;
  readonly sku: string;
  readonly units: number;
  readonly note: string;
}

/** Rows of `at,ref,sku,quantity,note`, gzipped or not. */
export function readAdjustments(file: URL | string): readonly Adjustment[] {
  const raw = readFileSync(file);
  const text = (raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw) : raw).toString('utf8');
  const [header, ...lines] = text.trim().split('\n');
  if (header?.trim() !== 'at,ref,sku,quantity,note') throw new Error('not a file of adjustments');
  return lines.map((line) => {
    const [at = '', reference = '', sku = '', quantity = '', ...note] = line.trim().split(',');
    return {
      atMs: Date.parse(at),
      reference,
      sku,
      units: Number(quantity),
      note: note.join(',').replaceAll('"', ''),
    };
  });
}

/** Makes the changes, in order; a write-off takes no more than is there. Items that are missing are added. */
export function applyAdjustments(warehouse: SandboxWarehouse, rows: readonly Adjustment[]): number {
  let units = 0;
  for (const { sku, units: change, note, reference } of rows) {
    if (warehouse.item(sku) === undefined) warehouse.addItem({ sku });
    const applied = warehouse.adjust(sku, change, { reason: note === '' ? reference : note });
    units += Math.abs(applied.change);
  }
  return units;
}
