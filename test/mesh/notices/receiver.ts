import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

export interface ReceivedNotice {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/**
 * What a merchant would run: every request is verified by the reference library of Standard Webhooks; one that does not
 * verify is answered 401 and counted.
 */
export class Receiver {
  readonly received: ReceivedNotice[] = [];
  /** Answers of the next requests, before they are accepted; `hang`: never answered. */
  readonly answers: (
    | number
    | 'hang'
    | { readonly status: number; readonly headers: Record<string, string> }
  )[] = [];
  unverified = 0;
  requests = 0;
  readonly #server: Server;
  readonly #secret: () => string;

  private constructor(secret: () => string) {
    this.#secret = secret;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        this.requests++;
        const body = Buffer.concat(chunks).toString();
        const answer = this.answers.shift();
        if (answer === 'hang') return;
        if (answer !== undefined) {
          const { status, headers } = typeof answer === 'number' ? { status: answer, headers: {} } : answer;
          response.writeHead(status, headers).end();
          return;
        }
        try {
          const headers = request.headers as Record<string, string>;
          const payload = new Webhook(this.#secret()).verify(body, headers) as {
            type: string;
            data: Record<string, unknown>;
          };
          this.received.push({ id: headers['webhook-id'] ?? '', ...payload, headers, body });
          response.writeHead(204).end();
        } catch {
          this.unverified++;
          response.writeHead(401).end();
        }
      });
    });
  }

  static async start(secret: () => string): Promise<Receiver> {
    const receiver = new Receiver(secret);
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/stockmesh`;
  }

  of(type: string): readonly ReceivedNotice[] {
    return this.received.filter((notice) => notice.type === type);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
