import { extname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { StockmeshError } from '../../domain/errors.ts';
import type { Reception } from '../../http/reception.ts';
import type { FromThread, OpenAddresses, ThreadBeginning, ToThread } from './messages.ts';

export interface WebhookThreadOptions {
  readonly beginning: ThreadBeginning;
  readonly reception: Reception;
  readonly log: Logger;
  /** The thread ended although nobody closed it: no webhook is taken any more. */
  readonly onLost: (error: StockmeshError) => void;
  /** Absent: the entry beside this file. */
  readonly entry?: URL | undefined;
}

const ownEntry = new URL(`entry${extname(import.meta.url)}`, import.meta.url);

/** Beyond the grace for what is under way, for the thread to say that it has closed. */
const closeMs = 500;

/**
 * The public listener in a thread of its own. A shop rings once per line and for every row that we write: at twenty orders
 * a second that are a thousand requests a second, of which each costs more to take in, prove and answer than to hear.
 *
 *   starting --address taken--> listening --close--> what is under way is answered --> closed
 *   starting --address not to be had--> failed (LISTEN_FAILED)
 *   listening --the thread ends by itself--> lost: the daemon cannot go on
 *
 * A doorbell is proven, read and answered in the thread and told here in one message with others. Everything else comes
 * here as it was received and is judged, kept and answered by `Reception`, whatever the thread made of it.
 */
export class WebhookThread {
  readonly address: { readonly host: string; readonly port: number };
  readonly #worker: Worker;
  #isClosing = false;

  private constructor(worker: Worker, address: WebhookThread['address'], options: WebhookThreadOptions) {
    this.#worker = worker;
    this.address = address;
    const { host, port } = address;
    const lost = (reason: string): void => {
      if (this.#isClosing) return;
      this.#isClosing = true;
      options.onLost(new StockmeshError('LISTEN_FAILED', { address: `${host}:${port}`, reason }));
    };
    worker.on('error', (error) => {
      options.log.error({ err: error }, 'the thread of the public listener failed');
      lost('its thread failed');
    });
    worker.on('exit', () => lost('its thread ended'));
  }

  /** Resolves once it listens. */
  static async start(options: WebhookThreadOptions): Promise<WebhookThread> {
    const { beginning, reception, log } = options;
    const worker = new Worker(options.entry ?? ownEntry, { workerData: beginning });
    const say = (message: ToThread): void => worker.postMessage(message);
    worker.on('message', (message: FromThread) => {
      if (message.kind === 'delivery')
        void reception.receive(message).then((answer) => say({ kind: 'answer', id: message.id, answer }));
      else if (message.kind === 'notes') {
        reception.rung(message.rings);
        for (const { channel, outcome, reason, count } of message.refusals)
          reception.refused(channel, outcome, reason, count);
        for (const tookMs of message.tookMs) reception.answered(tookMs);
        say({ kind: 'noted' });
      } else if (message.kind === 'defect') log.error({ what: message.what }, 'request failed');
    });
    const { host, port } = await listening(worker, `${beginning.host}:${beginning.port}`);
    return new WebhookThread(worker, { host, port }, options);
  }

  /** Channels take deliveries from now on, or no longer. */
  setOpen(open: OpenAddresses): void {
    const message: ToThread = { kind: 'open', open };
    this.#worker.postMessage(message);
  }

  /** Takes nothing new, waits at most `graceMs` for what is under way, then cuts it off. */
  async close(graceMs: number): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => {
      this.#worker.on('message', ({ kind }: FromThread) => kind === 'closed' && resolve());
      this.#worker.once('exit', () => resolve());
    });
    const message: ToThread = { kind: 'close', graceMs };
    this.#worker.postMessage(message);
    await Promise.race([closed, delay(graceMs + closeMs, undefined, { ref: false })]);
    await this.#worker.terminate();
  }
}

async function listening(
  worker: Worker,
  address: string,
): Promise<{ readonly host: string; readonly port: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ host: string; port: number }>();
  const failed = (reason: string, at = address, cause?: unknown): void =>
    reject(new StockmeshError('LISTEN_FAILED', { address: at, reason }, { cause }));
  const onMessage = (message: FromThread): void => {
    if (message.kind === 'listening') resolve(message);
    else if (message.kind === 'failed') failed(message.reason, message.address);
  };
  const onError = (error: unknown): void => failed('its thread failed', address, error);
  const onExit = (): void => failed('its thread ended');
  worker.on('message', onMessage).once('error', onError).once('exit', onExit);
  try {
    return await promise;
  } catch (error) {
    await worker.terminate();
    throw error;
  } finally {
    worker.off('message', onMessage).off('error', onError).off('exit', onExit);
  }
}
