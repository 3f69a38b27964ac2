import type { Logger } from 'pino';
import { StockmeshError } from '../domain/errors.ts';
import type { Inbox } from '../mesh/inbox.ts';

const lookEveryMs = 5_000;
const stuckAfterMs = 60_000;

/**
 * Queue workers have been seen that stay connected and take no more jobs after an outage of Redis. Canary jobs show it.
 *
 *   flowing --nothing went through for a minute while Redis answers--> worker built anew
 *   built anew --still nothing for a minute--> the daemon ends, its supervisor starts it again
 */
export class QueueWatchdog {
  readonly #timer: NodeJS.Timeout;
  #rebuiltAtMs: number | undefined;

  constructor(
    inbox: Inbox,
    isRedisRight: () => boolean,
    onStuck: (error: StockmeshError) => void,
    log: Logger,
  ) {
    this.#timer = setInterval(() => {
      if (inbox.sinceProgressMs < stuckAfterMs || !isRedisRight()) {
        this.#rebuiltAtMs = undefined;
        return;
      }
      if (this.#rebuiltAtMs === undefined) {
        this.#rebuiltAtMs = performance.now();
        log.error({ ms: inbox.sinceProgressMs }, 'no job goes through the inbox: its worker is built anew');
        inbox.rebuildWorker().catch((error: unknown) => log.warn({ err: error }, 'inbox worker'));
      } else if (performance.now() - this.#rebuiltAtMs > stuckAfterMs) {
        onStuck(new StockmeshError('QUEUE_STUCK', { ms: Math.round(inbox.sinceProgressMs) }));
      }
    }, lookEveryMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
