import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Delivery } from './platform.ts';

export interface WebhookReceiver {
  readonly url: string;
  take(): readonly Delivery[];
  stop(): void;
}

/** Our public address, as platforms see it: takes whatever comes. `answer` is the body of its 200. */
export async function startReceiver(answer = ''): Promise<WebhookReceiver> {
  let received: Delivery[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ raw: Buffer.concat(chunks), headers: request.headers });
      response.end(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`,
    take() {
      const taken = received;
      received = [];
      return taken;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
