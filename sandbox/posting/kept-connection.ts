import { type Socket, connect } from 'node:net';
import { type PostAnswer, connectTimeoutMs } from './post.ts';
import { readAnswer } from './read-answer.ts';
import { limitTime } from './time-limit.ts';

const READ_BYTES = 16_384;

export interface ConnectionEvents {
  /** It can take the next request. */
  freed(connection: KeptConnection): void;
  ended(connection: KeptConnection): void;
}

/**
 * One connection to a receiver, one request at a time: connecting -> asking -> free -> asking ... -> ended. It ends with a
 * time-out, an answer that closes it, or when the receiver leaves.
 */
export class KeptConnection {
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  #answer: ((answer: PostAnswer) => void) | undefined;
  #unlimit: (() => void) | undefined;
  #heard = '';
  #isUsed = false;

  constructor(host: string, port: number, events: ConnectionEvents) {
    this.#events = events;
    // One buffer for all its answers: a stream would allocate one per read.
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer,
        callback: (bytes) => {
          this.#read(buffer.toString('latin1', 0, bytes));
          return true;
        },
      },
    });
    this.#socket = socket;
    const connected = limitTime(connectTimeoutMs, () => socket.destroy());
    socket.once('connect', connected);
    socket.once('end', () => this.#finish(true));
    // What is wrong is told by the close that follows.
    socket.on('error', () => {});
    socket.once('close', () => {
      connected();
      this.#settle({ kind: 'unreachable', wasReused: this.#isUsed });
      events.ended(this);
    });
    // A request under way holds the process by its timer; a connection that waits for one does not.
    socket.unref();
  }

  /** Head and body in one string, so that they leave in one write. */
  ask(request: string, timeoutMs: number): Promise<PostAnswer> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#unlimit = limitTime(timeoutMs, () => {
        this.#settle({ kind: 'timeout' });
        this.end();
      });
      this.#socket.write(request);
    });
  }

  end(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#heard += text;
    this.#finish(false);
  }

  #finish(isEnded: boolean): void {
    const read = this.#answer === undefined ? undefined : readAnswer(this.#heard, isEnded);
    if (read?.kind === 'partial') return;
    this.#heard = '';
    if (read?.kind !== 'whole') {
      this.end();
      return;
    }
    this.#isUsed = true;
    if (read.isKept) this.#events.freed(this);
    else this.end();
    this.#settle({ kind: 'answered', status: read.status, isEmpty: read.isEmpty });
  }

  #settle(answer: PostAnswer): void {
    this.#unlimit?.();
    const settle = this.#answer;
    this.#answer = undefined;
    settle?.(answer);
  }
}
