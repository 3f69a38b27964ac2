/** `ok`, or why not, in words. */
export type Check = { readonly ok: boolean; readonly detail: string };

export interface Readiness {
  readonly isReady: boolean;
  readonly checks: Readonly<Record<string, Check>>;
}

export interface ReadinessSources {
  /** Resolves when Redis answered; rejects with the reason. Must end by itself. */
  pingRedis(): Promise<void>;
  /** Why the settings of Redis are wrong, if they are. */
  redisProblem(): string | undefined;
  /** Ms since the log reader last heard from Redis. */
  logReaderSilentMs(): number;
  /** Ms since a job last went through this daemon's inbox worker. */
  queueSilentMs(): number;
  haltedReason(): string | undefined;
}

export interface ReadinessLimits {
  readonly logReaderSilentMs: number;
  readonly queueSilentMs: number;
}

export const defaultReadinessLimits: ReadinessLimits = { logReaderSilentMs: 10_000, queueSilentMs: 30_000 };

/**
 * Ready means that work goes through, not that a process runs: Redis answers, the log reader hears it, and a job was
 * worked on lately (clients that look connected and take no more jobs have been seen after long outages).
 */
export async function checkReadiness(
  sources: ReadinessSources,
  limits: ReadinessLimits = defaultReadinessLimits,
): Promise<Readiness> {
  const redis = await sources.pingRedis().then(
    () => sources.redisProblem(),
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const checks = {
    redis: told(redis),
    ledger: told(sources.haltedReason()),
    logReader: silent(sources.logReaderSilentMs(), limits.logReaderSilentMs),
    queue: silent(sources.queueSilentMs(), limits.queueSilentMs),
  };
  return { isReady: Object.values(checks).every((check) => check.ok), checks };
}

function told(problem: string | undefined): Check {
  return { ok: problem === undefined, detail: problem ?? 'ok' };
}

function silent(ms: number, limitMs: number): Check {
  if (ms <= limitMs) return { ok: true, detail: 'ok' };
  const since = Number.isFinite(ms) ? `for ${Math.round(ms)} ms` : 'since the start';
  return { ok: false, detail: `nothing moved ${since}` };
}
