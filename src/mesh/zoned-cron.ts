import { createTask, type ScheduledTask, schedule } from 'node-cron';

const minuteMs = 60_000;
/** Clocks are put forward and back by at most this; a daemon that slept longer runs what is due once. */
const lookBackMs = 3 * 3_600_000;

/**
 * When a cron expression is due in a time zone, also around a switch of its clocks: a time that the clocks jump over is
 * due at once after the jump, and a time that comes twice is due the first time only, unless the expression means every hour.
 * (node-cron leaves out the former for a whole day, and the first of each hour that comes twice.)
 */
export class ZonedCron {
  /** Matches wall clock readings, written as if they were UTC. */
  readonly #wall: ScheduledTask;
  readonly #isHourly: boolean;
  readonly #format: Intl.DateTimeFormat;

  constructor(expression: string, timeZone: string) {
    // A seconds field in front may stand there: minutes are fine enough.
    const fields = expression.trim().split(/\s+/).slice(-5);
    this.#wall = createTask(fields.join(' '), () => undefined, { timezone: 'Etc/UTC' });
    this.#isHourly = fields[1]?.startsWith('*') === true;
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    });
  }

  /** The newest minute in which it was due, after `fromMs` and not after `toMs`; undefined: none. */
  dueBetween(fromMs: number, toMs: number): number | undefined {
    const first = Math.floor(Math.max(fromMs, toMs - lookBackMs) / minuteMs) * minuteMs + minuteMs;
    for (let atMs = Math.floor(toMs / minuteMs) * minuteMs; atMs >= first; atMs -= minuteMs)
      if (this.#isDue(atMs)) return atMs;
    return undefined;
  }

  #isDue(atMs: number): boolean {
    const wallMs = this.#wallOf(atMs);
    const beforeMs = this.#wallOf(atMs - minuteMs);
    // Set forward: what the clock did not show is due now.
    for (let skippedMs = beforeMs + minuteMs; skippedMs < wallMs; skippedMs += minuteMs)
      if (this.#matches(skippedMs)) return true;
    return this.#matches(wallMs) && (this.#isHourly || !this.#wasShown(atMs, wallMs));
  }

  /** Set back: the clock has shown this already. */
  #wasShown(atMs: number, wallMs: number): boolean {
    const offsetMs = wallMs - atMs;
    const earlierOffsetMs = this.#wallOf(atMs - lookBackMs) - (atMs - lookBackMs);
    if (earlierOffsetMs <= offsetMs) return false;
    // Where it showed the same by the offset from before the switch: still before it?
    const earlierMs = wallMs - earlierOffsetMs;
    return this.#wallOf(earlierMs) === wallMs;
  }

  #matches(wallMs: number): boolean {
    return this.#wall.match(new Date(wallMs));
  }

  #wallOf(atMs: number): number {
    const { year, month, day, hour, minute } = Object.fromEntries(
      this.#format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]),
    );
    return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute);
  }
}

/** Calls with the minute it was due in, at most once for it in this process. */
export function scheduleZoned(
  expression: string,
  timeZone: string,
  run: (dueAtMs: number) => Promise<void>,
): ScheduledTask {
  const cron = new ZonedCron(expression, timeZone);
  let lookedAtMs = Date.now();
  return schedule(
    '*/5 * * * * *',
    async () => {
      const nowMs = Date.now();
      // A clock that was set back looks at nothing twice.
      if (nowMs <= lookedAtMs) return;
      const dueAtMs = cron.dueBetween(lookedAtMs, nowMs);
      lookedAtMs = nowMs;
      if (dueAtMs !== undefined) await run(dueAtMs);
    },
    { suppressMissedWarning: true },
  );
}
