/**
 * A loop's sleep that can be cut short. A ring while nobody sleeps is kept: the next sleep ends at once, so a wake-up
 * between "nothing to do" and "go to sleep" is never lost.
 */
export class Alarm {
  #isRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  async sleep(ms: number): Promise<void> {
    if (!this.#isRung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, Math.min(ms, 2 ** 31 - 1)));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#isRung = false;
  }
}

/** Full jitter over the upper half: retries of many channels spread out, none comes much earlier than planned. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

/** The work's end or the signal's, whichever is first. Leaves nothing behind on a signal that lives long. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(new DOMException('The operation was aborted', 'AbortError'));
  });
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
