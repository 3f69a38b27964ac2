import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** What the daemon starts with so that its heap can be looked at later: nothing listens before it is asked to. */
export const heapOption = '--inspect-port=127.0.0.1:0';

const openMaxMs = 10_000;
/** Collections take this much of the time at most: the run that is watched has to go on. */
const collectShare = 0.5;
const leastRestMs = 100;
const bytesPerMb = 1_024 ** 2;

export interface Held {
  /** Alive before the work, MB, and the most that was found alive while it went on. */
  readonly beforeMb: number;
  readonly mostMb: number;
  readonly looks: number;
}

/**
 * What is alive in another Node process: resident memory says how far V8 let garbage pile up, which grows with the heap
 * whatever a run keeps. Through the inspector of that process, on a loopback port, garbage is collected before each look.
 */
export class HeapWatch {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #calls = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (id !== undefined) this.#waiting.get(id)?.(result);
    });
  }

  /** `logPath`: where the process writes its standard error. */
  static async open(pid: number, logPath: string): Promise<HeapWatch> {
    process.kill(pid, 'SIGUSR1');
    for (const untilMs = performance.now() + openMaxMs; performance.now() < untilMs; await delay(50)) {
      const address = /Debugger listening on (ws:\/\/\S+)/.exec(readFileSync(logPath, 'utf8'))?.[1];
      if (address === undefined) continue;
      const socket = new WebSocket(address);
      await new Promise((resolve, reject) => {
        socket.addEventListener('open', resolve);
        socket.addEventListener('error', () => reject(new Error('the inspector cannot be reached')));
      });
      return new HeapWatch(socket);
    }
    throw new Error('the process opened no inspector');
  }

  async during(work: () => Promise<unknown>): Promise<Held> {
    const beforeMb = await this.#aliveMb();
    let mostMb = beforeMb;
    let looks = 0;
    const over = new AbortController();
    const working = work().finally(() => over.abort());
    // Heard of below; until then it is nobody's unhandled failure.
    working.catch(() => undefined);
    while (!over.signal.aborted) {
      const startedMs = performance.now();
      mostMb = Math.max(mostMb, await this.#aliveMb());
      looks++;
      await delay(Math.max(leastRestMs, (performance.now() - startedMs) * (1 / collectShare - 1)));
    }
    await working;
    return { beforeMb, mostMb, looks };
  }

  close(): void {
    this.#socket.close();
  }

  async #aliveMb(): Promise<number> {
    await this.#call('HeapProfiler.collectGarbage');
    const usage = (await this.#call('Runtime.getHeapUsage')) as {
      usedSize: number;
      backingStorageSize?: number;
    };
    return (usage.usedSize + (usage.backingStorageSize ?? 0)) / bytesPerMb;
  }

  #call(method: string): Promise<unknown> {
    const id = ++this.#calls;
    this.#socket.send(JSON.stringify({ id, method }));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }
}
