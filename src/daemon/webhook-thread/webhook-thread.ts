import { extname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { StockmeshError } from '../../domain/errors.ts';
import type { Reception } from '../../http/reception.ts';
import type { FromThread, ListenWish, OpenAddresses, ToThread } from './messages.ts';

export interface WebhookThreadOptions {
  readonly wish: ListenWish;
  readonly reception: Reception;
  readonly log: Logger;
  /** The thread ended although nobody closed it: no webhook is taken any more. */
  readonly onLost: (error: StockmeshError) => void;
}

export interface ListeningAddress {
  readonly host: string;
  readonly port: number;
}

const ownEntry = new URL(`entry${extname(import.meta.url)}`, import.meta.url);
/** Beyond the grace for what is under way, for the thread to say that it has closed. */
const closeMs = 500;

/**
 * The public listener in a thread of its own. A shop rings once per line and for every row that we write: at twenty orders
 * a second that are a thousand requests a second, of which each costs more to take in, prove and answer than to hear.
 *
 *   made (its code is loaded meanwhile) --listen--> starting --address taken--> listening
 *   starting --address not to be had, the thread ends--> failed (LISTEN_FAILED)
 *   listening --the thread ends by itself--> lost: the daemon cannot go on
 *   any --close--> what is under way is answered --> closed
 *
 * A doorbell is proven, read and answered in the thread and told here in one message with others. Everything else comes
 * here as it was received and is judged, kept and answered by `Reception`, whatever the thread made of it.
 */
export class WebhookThread {
  readonly #worker: Worker;
  #end: { readonly reason: string; readonly error?: unknown } | undefined;
  #onEnd: (() => void) | undefined;
  #isClosing = false;

  constructor(entry = ownEntry) {
    this.#worker = new Worker(entry);
    const ended = (reason: string, error?: unknown): void => {
      this.#end ??= { reason, error };
      if (!this.#isClosing) this.#onEnd?.();
    };
    this.#worker.on('error', (error) => ended('its thread failed', error));
    this.#worker.on('exit', () => ended('its thread ended'));
  }

  async listen({ wish, reception, log, onLost }: WebhookThreadOptions): Promise<ListeningAddress> {
    const { promise, resolve, reject } = Promise.withResolvers<ListeningAddress>();
    const failed = (address: string, reason: string): StockmeshError =>
      new StockmeshError('LISTEN_FAILED', { address, reason }, { cause: this.#end?.error });
    this.#worker.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'listening':
          return resolve({ host: message.host, port: message.port });
        case 'failed':
          return reject(failed(message.address, message.reason));
        case 'delivery':
          void reception
            .receive(message)
            .then((answer) => this.#say({ kind: 'answer', id: message.id, answer }));
          return;
        case 'notes':
          reception.rung(message.rings);
          for (const { channel, outcome, reason, count } of message.refusals)
            reception.refused(channel, outcome, reason, count);
          for (const tookMs of message.tookMs) reception.answered(tookMs);
          return this.#say({ kind: 'noted' });
        case 'defect':
          return log.error({ requestId: message.requestId, what: message.what }, 'request failed');
        case 'closed':
      }
    });
    this.#whenEnded((reason) => reject(failed(`${wish.host}:${wish.port}`, reason)));
    this.#say({ kind: 'listen', wish });
    const address = await promise;
    this.#whenEnded((reason, error) => {
      log.error({ err: error, reason }, 'the thread of the public listener is gone');
      onLost(failed(`${address.host}:${address.port}`, reason));
    });
    return address;
  }

  /** Channels take deliveries from now on, or no longer. */
  setOpen(open: OpenAddresses): void {
    this.#say({ kind: 'open', open });
  }

  /** Takes nothing new, waits at most `graceMs` for what is under way, then cuts it off. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => {
      this.#worker.on('message', ({ kind }: FromThread) => kind === 'closed' && resolve());
      this.#worker.once('exit', () => resolve());
      if (this.#end !== undefined) resolve();
    });
    this.#say({ kind: 'close', graceMs });
    await Promise.race([closed, delay(graceMs + closeMs, undefined, { ref: false })]);
    await this.#worker.terminate();
  }

  #say(message: ToThread): void {
    this.#worker.postMessage(message, []);
  }

  /** Also when it ended before. */
  #whenEnded(tell: (reason: string, error: unknown) => void): void {
    this.#onEnd = () => {
      this.#onEnd = undefined;
      if (this.#end !== undefined) tell(this.#end.reason, this.#end.error);
    };
    if (this.#end !== undefined) this.#onEnd();
  }
}
