import { StockmeshError } from '../domain/errors.ts';

/** The end of one piece of work: its caller's, or the end of its time. `end` it when the work is over. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Its own time ran out before the caller gave up. */
  readonly isPast: boolean;
  end(): void;
}

/** On the signal of a running deadline: when it ends by itself, on the clock of `performance`. A WeakMap costs more than it saves. */
const endsAtMs = Symbol('endsAtMs');
interface OwnSignal extends AbortSignal {
  [endsAtMs]?: number;
}

/**
 * A deadline within one that ends no later is that one: a write, its request and its exchange each have the time of a
 * request, and a timer, a controller and listeners for each of the three were 5 % of what a request costs.
 *
 * Not AbortSignal.timeout with AbortSignal.any: at hundreds of requests a second their timers outlive the requests by far,
 * and each makes an error with its stack when it fires, for nobody.
 */
export function deadlineWithin(signal: AbortSignal | undefined, ms: number): Deadline {
  const ownEndMs = performance.now() + ms;
  if (signal !== undefined && ((signal as OwnSignal)[endsAtMs] ?? Number.POSITIVE_INFINITY) <= ownEndMs)
    return { signal, isPast: false, end: () => undefined };
  const ending = new AbortController();
  const own: OwnSignal = ending.signal;
  own[endsAtMs] = ownEndMs;
  let isPast = false;
  let last: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    // After a pause of the process timers run before the sockets are read. An answer that is already here is no time-out.
    last = setImmediate(() => {
      isPast = true;
      ending.abort(new DOMException(`The time of ${ms} ms is over`, 'TimeoutError'));
    });
  }, ms).unref();
  const onAbort = (): void => ending.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted === true) onAbort();
  return {
    signal: own,
    get isPast() {
      return isPast;
    },
    end() {
      clearTimeout(timer);
      clearImmediate(last);
      // From now on it bounds nothing.
      own[endsAtMs] = Number.POSITIVE_INFINITY;
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
