import { cpus, loadavg, totalmem } from 'node:os';

export interface BenchResult {
  readonly bench: string;
  readonly ratios: Readonly<Record<string, number | null>>;
  readonly counts: Readonly<Record<string, number>>;
  readonly figures: Readonly<Record<string, number | null>>;
}

/** What the figures depend on; printed before them. */
export function printConditions(lines: readonly string[]): void {
  const [cpu] = cpus();
  console.log(
    `machine: ${cpus().length} x ${cpu?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(1)} GiB, load ${loadavg()[0]?.toFixed(2)}, Node ${process.version}`,
  );
  for (const line of lines) console.log(`condition: ${line}`);
}

/**
 * A run is DISCARDED when its own control says that the machine, not the code, was measured. The rule is printed with
 * the verdict, and a discarded run still prints its figures: they are shown, not quoted.
 */
export function printVerdict(rule: string, spread: number, limit: number): void {
  const isValid = spread <= limit;
  console.log(
    `verdict: ${isValid ? 'VALID' : 'DISCARDED'} (rule: ${rule}; measured ${spread.toFixed(2)}, limit ${limit})`,
  );
}

/** The last line of every bench. */
export function printResult(result: BenchResult): void {
  const rounded = (values: Readonly<Record<string, number | null>>): Record<string, number | null> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, round(value)]));
  console.log(
    JSON.stringify({
      bench: result.bench,
      ratios: rounded(result.ratios),
      counts: result.counts,
      figures: rounded(result.figures),
    }),
  );
}

function round(value: number | null): number | null {
  if (value === null || !Number.isFinite(value)) return null;
  return Number(value.toPrecision(4));
}

/** Fixed-width rows under a heading. */
export function printTable(
  heading: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void {
  const cells = [heading, ...rows].map((row) =>
    row.map((cell) => (typeof cell === 'number' ? formatNumber(cell) : cell)),
  );
  const widths = heading.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  for (const row of cells)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return Number(value.toPrecision(3)).toString();
}
