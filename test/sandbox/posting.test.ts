import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { Poster } from '../../sandbox/posting/poster.ts';

interface Receiver extends AsyncDisposable {
  readonly uri: string;
  readonly sockets: readonly Socket[];
  readonly heard: readonly string[];
}

/** `onData` gets what one read of a connection brought. */
async function receive(onData: (socket: Socket, text: string) => void): Promise<Receiver> {
  const sockets: Socket[] = [];
  const heard: string[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      heard.push(chunk.toString());
      onData(socket, chunk.toString());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?a=1`,
    sockets,
    heard,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const accepted = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
const post = (uri: string, timeoutMs = 20_000) => ({
  uri,
  headers: { 'X-Topic': 'a' },
  body: '"é"',
  timeoutMs,
});

test('a receiver that is not there is unreachable', async () => {
  const poster = new Poster();
  // A port that was free a moment ago may be somebody's by now; this one is given to nobody.
  expect(await poster.send(post('http://127.0.0.1:1/'))).toEqual({ kind: 'unreachable', wasReused: false });
});

test('no answer in time is a time-out, and its connection is not used again', async () => {
  const poster = new Poster();
  await using receiver = await receive((socket) => {
    if (receiver.sockets.length > 1) socket.write(accepted);
  });
  expect(await poster.send(post(receiver.uri, 50))).toEqual({ kind: 'timeout' });
  expect(await poster.send(post(receiver.uri))).toMatchObject({ kind: 'answered', status: 200 });
  expect(receiver.sockets).toHaveLength(2);
  poster.close();
});

test('a receiver that leaves in the middle of its answer is unreachable', async () => {
  const poster = new Poster();
  await using receiver = await receive((socket) =>
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'),
  );
  expect(await poster.send(post(receiver.uri))).toEqual({ kind: 'unreachable', wasReused: false });
  expect(receiver.sockets).toHaveLength(1);
});

test('a kept connection that the receiver closes is no failure: the post goes once more', async () => {
  const poster = new Poster();
  await using receiver = await receive((socket) => {
    if (receiver.heard.length === 2) socket.destroy();
    else socket.write(accepted);
  });
  expect(await poster.send(post(receiver.uri))).toMatchObject({ status: 200 });
  expect(await poster.send(post(receiver.uri))).toMatchObject({ status: 200 });
  expect(receiver.heard).toHaveLength(3);
  expect(receiver.sockets).toHaveLength(2);
  poster.close();
});

test('a connection that ended while nobody asked is not used', async () => {
  const poster = new Poster();
  await using receiver = await receive((socket) => socket.write(accepted));
  await poster.send(post(receiver.uri));
  const [first] = receiver.sockets;
  first?.end();
  if (first && !first.closed) await once(first, 'close');
  expect(await poster.send(post(receiver.uri))).toMatchObject({ status: 200 });
  expect(receiver.heard).toHaveLength(2);
  poster.close();
});

test('after the end nothing is sent, and what is under way is unreachable', async () => {
  const poster = new Poster();
  await using receiver = await receive(() => poster.close());
  expect(await poster.send(post(receiver.uri))).toEqual({ kind: 'unreachable', wasReused: false });
  expect(await poster.send(post(receiver.uri))).toEqual({ kind: 'unreachable', wasReused: false });
  expect(receiver.sockets).toHaveLength(1);
});

test('https speaks TLS', async () => {
  const poster = new Poster();
  await using receiver = await receive((socket) => socket.destroy());
  expect(await poster.send(post(receiver.uri.replace('http:', 'https:')))).toMatchObject({
    kind: 'unreachable',
  });
  // A handshake record.
  expect(receiver.heard[0]?.charCodeAt(0)).toBe(0x16);
});

test('posts that are under way at once have connections of their own, later ones use them again', async () => {
  const poster = new Poster();
  const waiting: Socket[] = [];
  await using receiver = await receive((socket) => {
    waiting.push(socket);
    if (receiver.heard.length < 3) return;
    for (const one of waiting.splice(0)) one.write(`HTTP/1.1 202 Taken\r\nContent-Length: 2\r\n\r\nok`);
  });
  const answers = await Promise.all([1, 2, 3].map(() => poster.send(post(receiver.uri))));
  expect(answers).toEqual([1, 2, 3].map(() => ({ kind: 'answered', status: 202, isEmpty: false })));
  expect(await poster.send(post(receiver.uri))).toMatchObject({ status: 202 });
  expect(receiver.sockets).toHaveLength(3);
  expect(receiver.heard[0]).toBe(
    `POST /hook?a=1 HTTP/1.1\r\nHost: ${new URL(receiver.uri).host}\r\nConnection: keep-alive\r\n` +
      'X-Topic: a\r\nContent-Length: 4\r\n\r\n"é"',
  );
  poster.close();
});
