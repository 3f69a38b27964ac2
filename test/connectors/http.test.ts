import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createHttpClient } from '../../src/connectors/http.ts';
import { StockmeshError } from '../../src/domain/errors.ts';

const servers: Server[] = [];

async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const secret = 'shpss_very-secret';
const client = (timeoutMs = 10_000) =>
  createHttpClient({ platform: 'shopify', timeoutMs, maxBodyBytes: 1_000 });
const request = (url: string) => ({
  method: 'POST' as const,
  url,
  operation: 'token',
  headers: { authorization: secret },
  body: `client_secret=${secret}`,
});

async function failureOf(work: Promise<unknown>): Promise<StockmeshError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StockmeshError);
  return error as StockmeshError;
}

describe('a failure', () => {
  test('of the connection says that nothing was sent', async () => {
    const error = await failureOf(client().send(request('http://127.0.0.1:1/')));
    expect(error.code).toBe('CONNECTOR_UNREACHABLE');
    expect(error.fields['isSent']).toBe(false);
  });

  test('after sending leaves open what happened', async () => {
    const url = await serve((_request, response) => response.destroy());
    const error = await failureOf(client().send(request(url)));
    expect(error.fields['isSent']).toBe(true);
  });

  test('comes in time when the platform accepts and never answers', async () => {
    const url = await serve(() => undefined);
    const error = await failureOf(client(100).send(request(url)));
    expect(error.code).toBe('CONNECTOR_UNREACHABLE');
  });

  test('comes when the body stops in the middle', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('x');
    });
    expect((await failureOf(client(100).send(request(url)))).code).toBe('CONNECTOR_UNREACHABLE');
  });

  test('comes when the answer is larger than allowed', async () => {
    const url = await serve((_request, response) => response.end('x'.repeat(2_000)));
    expect((await failureOf(client().send(request(url)))).code).toBe('CONNECTOR_UNREACHABLE');
  });

  test('carries nothing of the request', async () => {
    for (const url of ['http://127.0.0.1:1/', await serve((_request, response) => response.destroy())]) {
      const error = await failureOf(client().send(request(url)));
      const told = JSON.stringify({
        fields: error.fields,
        stack: error.stack,
        message: error.message,
        cause: error.cause,
      });
      expect(told).not.toContain(secret);
      expect(error.cause).toBeUndefined();
    }
  });

  test('ends with the caller', async () => {
    const url = await serve(() => undefined);
    const controller = new AbortController();
    const sent = client(10_000).send({ ...request(url), signal: controller.signal });
    controller.abort();
    expect((await failureOf(sent)).code).toBe('CONNECTOR_UNREACHABLE');
  });
});

test('a redirect is an answer: credentials do not travel to where it points', async () => {
  let followed = 0;
  const target = await serve((_request, response) => {
    followed++;
    response.end();
  });
  const url = await serve((_request, response) => response.writeHead(307, { location: target }).end());
  const answer = await client().send(request(url));
  expect(answer.status).toBe(307);
  expect(followed).toBe(0);
});

test('any status is an answer, with its bytes untouched', async () => {
  const url = await serve((_request, response) =>
    response.writeHead(503, { 'X-Hint': 'Later' }).end(Buffer.from([0xff, 0x00])),
  );
  const answer = await client().send({ method: 'GET', url, operation: 'read' });
  expect(answer.status).toBe(503);
  expect(answer.headers['x-hint']).toBe('Later');
  expect([...answer.body]).toEqual([0xff, 0x00]);
});

test('a stream is handed over as it comes, past the size of a body', async () => {
  const url = await serve((_request, response) => response.end('x'.repeat(100_000)));
  const answer = await client().stream({ method: 'GET', url, operation: 'bulk' });
  let size = 0;
  for await (const chunk of answer.body as AsyncIterable<Uint8Array>) size += chunk.byteLength;
  expect(size).toBe(100_000);
});
