import { createHash, randomUUID } from 'node:crypto';
import type { SandboxClock } from '../../shopify/clock.ts';

export interface QueueMessage {
  readonly id: string;
  readonly body: string;
  readonly sentAt: number;
  receives: number;
  visibleAt: number;
  receipt: string;
}

const MAX_MESSAGES = 200_000;

/** One standard queue: at least once, in no order anybody may rely on. */
export class Queue {
  readonly name: string;
  readonly url: string;
  readonly arn: string;
  visibilityMs = 30_000;
  /** After this many receives a message goes to `deadLetters`. */
  maxReceives = Number.POSITIVE_INFINITY;
  readonly deadLetters: QueueMessage[] = [];
  /** Messages deleted since the start. */
  deleted = 0;
  readonly #clock: SandboxClock;
  readonly #waiting = new Set<() => void>();
  #messages: QueueMessage[] = [];

  constructor(parts: { name: string; url: string; arn: string; clock: SandboxClock }) {
    this.name = parts.name;
    this.url = parts.url;
    this.arn = parts.arn;
    this.#clock = parts.clock;
  }

  /** Messages that are not deleted, hidden ones included. */
  get depth(): number {
    return this.#messages.length;
  }

  send(body: string): QueueMessage {
    if (this.#messages.length >= MAX_MESSAGES) throw new Error(`more than ${MAX_MESSAGES} messages`);
    const now = this.#clock.now();
    const message: QueueMessage = {
      id: randomUUID(),
      body,
      sentAt: now,
      receives: 0,
      visibleAt: now,
      receipt: '',
    };
    this.#messages.push(message);
    for (const wake of this.#waiting) wake();
    return message;
  }

  receive(max: number, visibilityMs: number): readonly QueueMessage[] {
    const now = this.#clock.now();
    const taken: QueueMessage[] = [];
    const all = this.#messages;
    for (const message of all) {
      if (taken.length >= max) break;
      if (message.visibleAt > now) continue;
      if (message.receives >= this.maxReceives) {
        this.#messages = this.#messages.filter((other) => other !== message);
        this.deadLetters.push(message);
        continue;
      }
      message.receives += 1;
      message.visibleAt = now + visibilityMs;
      message.receipt = randomUUID();
      taken.push(message);
    }
    return taken;
  }

  /** Messages now, or as soon as one is there within the wait. */
  async poll(max: number, visibilityMs: number, waitMs: number): Promise<readonly QueueMessage[]> {
    const untilMs = this.#clock.now() + waitMs;
    for (;;) {
      const taken = this.receive(max, visibilityMs);
      const leftMs = untilMs - this.#clock.now();
      if (taken.length > 0 || leftMs <= 0) return taken;
      const hidden = this.#messages.map((message) => message.visibleAt - this.#clock.now());
      await this.#rest(Math.max(1, Math.min(leftMs, ...hidden)));
    }
  }

  /** A receipt is good only as long as nobody received the message again. */
  delete(receipt: string): void {
    const left = this.#messages.filter((message) => message.receipt !== receipt);
    this.deleted += this.#messages.length - left.length;
    this.#messages = left;
  }

  changeVisibility(receipt: string, visibilityMs: number): boolean {
    const message = this.#messages.find((other) => other.receipt === receipt);
    if (!message) return false;
    message.visibleAt = this.#clock.now() + visibilityMs;
    for (const wake of this.#waiting) wake();
    return true;
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = this.#clock.schedule(ms, done);
      this.#waiting.add(done);
    });
  }
}

export function md5Of(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
