interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

/** Virtual time: a binary heap of actions, first come first served among equals. */
export class Agenda {
  nowMs = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  in(delayMs: number, action: () => void): void {
    this.at(this.nowMs + delayMs, action);
  }

  at(atMs: number, action: () => void): void {
    const entry = { atMs: Math.max(this.nowMs, atMs), order: this.#order++, action };
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(entry, heap[parent] as Entry)) break;
      heap[index] = heap[parent] as Entry;
      index = parent;
    }
    heap[index] = entry;
  }

  runUntil(endMs: number): void {
    let entry = this.#heap[0];
    while (entry !== undefined && entry.atMs <= endMs) {
      this.#removeFirst();
      this.nowMs = entry.atMs;
      entry.action();
      entry = this.#heap[0];
    }
    this.nowMs = endMs;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
      if (!isBefore(heap[child] as Entry, last)) break;
      heap[index] = heap[child] as Entry;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}
