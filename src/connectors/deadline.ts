import { StockmeshError } from '../domain/errors.ts';

/** The end of one piece of work: its caller's, or the end of its time. `end` it when the work is over. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Its own time ran out before the caller gave up. */
  readonly isPast: boolean;
  end(): void;
}

/**
 * Not AbortSignal.timeout with AbortSignal.any: at hundreds of requests a second their timers outlive the requests by far,
 * and each makes an error with its stack when it fires, for nobody.
 */
export function deadlineWithin(signal: AbortSignal | undefined, ms: number): Deadline {
  const ending = new AbortController();
  let isPast = false;
  const timer = setTimeout(() => {
    isPast = true;
    ending.abort(new DOMException(`The time of ${ms} ms is over`, 'TimeoutError'));
  }, ms).unref();
  const onAbort = (): void => ending.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted === true) onAbort();
  return {
    signal: ending.signal,
    get isPast() {
      return isPast;
    },
    end() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

/** The work, told by its signal when the caller gives up or its time is over. */
export async function withDeadline<T>(
  signal: AbortSignal | undefined,
  ms: number,
  work: (bounded: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = deadlineWithin(signal, ms);
  try {
    return await work(deadline.signal);
  } finally {
    deadline.end();
  }
}

/** Undefined when our own time-out ended the wait; the caller's abort stays an abort. */
export async function inTime<T>(
  bounded: AbortSignal,
  callers: AbortSignal,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StockmeshError || callers.aborted || !bounded.aborted) throw error;
    return undefined;
  }
}
