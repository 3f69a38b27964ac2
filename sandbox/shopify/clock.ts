/** Time as the sandbox sees it. Everything that waits goes through here, so a test can own the clock. */
export interface SandboxClock {
  now(): number;
  /** Runs the task once after the delay; the returned function cancels it. */
  schedule(delayMs: number, task: () => void): () => void;
}

export const realClock: SandboxClock = {
  now: () => Date.now(),
  schedule(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

interface Pending {
  readonly dueAt: number;
  readonly order: number;
  readonly task: () => void;
}

/** A clock that moves only when told to. Tasks run in order of their due time, ties in order of scheduling. */
export class ManualClock implements SandboxClock {
  #nowMs: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(startMs = Date.UTC(2026, 10, 21, 9, 0, 0)) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, task: () => void): () => void {
    const pending = { dueAt: this.#nowMs + Math.max(0, delayMs), order: this.#order++, task };
    this.#pending.add(pending);
    return () => this.#pending.delete(pending);
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      let next: Pending | undefined;
      for (const pending of this.#pending) {
        if (pending.dueAt > untilMs) continue;
        if (
          next &&
          (pending.dueAt > next.dueAt || (pending.dueAt === next.dueAt && pending.order > next.order))
        )
          continue;
        next = pending;
      }
      if (!next) break;
      this.#pending.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueAt);
      next.task();
    }
    this.#nowMs = untilMs;
  }
}
