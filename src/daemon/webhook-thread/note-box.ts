import type { WebhookOutcome } from '../../http/http-metrics.ts';
import type { Ring } from '../../http/reception.ts';
import type { Notes, Refusals } from './messages.ts';

/** So many of a kind while the daemon does not read: of rings the sender waits then, of times the rest is not told. */
const maxKept = 10_000;

/**
 * What the thread tells the daemon without waiting for an answer. One message at a time is on its way, so that a busy
 * daemon finds one large one instead of a thousand small ones.
 *
 *   empty --note--> sent at the end of the turn --more notes--> kept --the daemon has read--> sent
 */
export class NoteBox {
  readonly #send: (notes: Notes) => void;
  #rings: Ring[] = [];
  #refusals = new Map<string, Refusals>();
  #tookMs: number[] = [];
  #isOnItsWay = false;
  #isPlanned = false;

  constructor(send: (notes: Notes) => void) {
    this.#send = send;
  }

  /** False: the daemon is too far behind. */
  ring(ring: Ring): boolean {
    if (this.#rings.length >= maxKept) return false;
    this.#rings.push(ring);
    this.#plan();
    return true;
  }

  refused(channel: string, outcome: WebhookOutcome, reason: string): void {
    // Reasons are ours and few; channels are those of the configuration.
    const key = `${channel} ${outcome} ${reason}`;
    const count = (this.#refusals.get(key)?.count ?? 0) + 1;
    this.#refusals.set(key, { channel, outcome, reason, count });
    this.#plan();
  }

  answered(tookMs: number): void {
    if (this.#tookMs.length >= maxKept) return;
    this.#tookMs.push(tookMs);
    this.#plan();
  }

  /** The daemon has read what was sent last. */
  noted(): void {
    this.#isOnItsWay = false;
    this.#plan();
  }

  #plan(): void {
    if (this.#isOnItsWay || this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    const notes = { rings: this.#rings, refusals: [...this.#refusals.values()], tookMs: this.#tookMs };
    if (notes.rings.length + notes.refusals.length + notes.tookMs.length === 0) return;
    this.#rings = [];
    this.#refusals = new Map();
    this.#tookMs = [];
    this.#isOnItsWay = true;
    this.#send(notes);
  }
}
