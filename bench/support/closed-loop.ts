/** What `callers` concurrent callers got done, each sending its next call when the last one answered. */
export interface LoopResult {
  readonly ok: number;
  readonly refused: number;
  readonly gaveUp: number;
  readonly perS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export type Attempt = 'ok' | 'refused' | 'gave-up';

export interface LoopOptions {
  readonly callers: number;
  readonly durationMs: number;
  /** Ends the loop early, e.g. when the stock is gone. */
  readonly maxAttempts?: number | undefined;
}

export async function closedLoop(
  options: LoopOptions,
  attempt: (caller: number, n: number) => Promise<Attempt>,
): Promise<LoopResult> {
  const latenciesMs: number[] = [];
  const counts: Record<Attempt, number> = { ok: 0, refused: 0, 'gave-up': 0 };
  const startedMs = performance.now();
  const untilMs = startedMs + options.durationMs;
  const maxAttempts = options.maxAttempts ?? Number.POSITIVE_INFINITY;
  let attempts = 0;
  const run = async (caller: number): Promise<void> => {
    while (attempts < maxAttempts) {
      const sentMs = performance.now();
      if (sentMs >= untilMs) return;
      attempts += 1;
      counts[await attempt(caller, attempts)] += 1;
      latenciesMs.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: options.callers }, (_, caller) => run(caller)));
  const elapsedS = (performance.now() - startedMs) / 1000;
  const sorted = Float64Array.from(latenciesMs).toSorted();
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return {
    ok: counts.ok,
    refused: counts.refused,
    gaveUp: counts['gave-up'],
    perS: counts.ok / elapsedS,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
