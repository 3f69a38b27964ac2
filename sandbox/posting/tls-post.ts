import { request } from 'node:https';
import { type Post, type PostAnswer, connectTimeoutMs } from './post.ts';

/** Over Node's own client and its agent for all. */
export function postOverTls({ uri, headers, body, timeoutMs }: Post): Promise<PostAnswer> {
  return new Promise((resolve) => {
    let timedOut = false;
    const outgoing = request(uri, {
      method: 'POST',
      headers: { ...headers, 'Content-Length': Buffer.byteLength(body) },
    });
    const total = setTimeout(() => {
      timedOut = true;
      outgoing.destroy();
      resolve({ kind: 'timeout' });
    }, timeoutMs);
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) return;
      const connect = setTimeout(() => outgoing.destroy(), connectTimeoutMs);
      socket.once('connect', () => clearTimeout(connect));
      socket.once('close', () => clearTimeout(connect));
    });
    outgoing.on('response', (response) => {
      let isEmpty = true;
      response.on('data', () => (isEmpty = false));
      response.on('end', () => {
        clearTimeout(total);
        resolve({ kind: 'answered', status: response.statusCode ?? 0, isEmpty });
      });
      response.on('error', () => resolve({ kind: 'unreachable', wasReused: false }));
    });
    outgoing.on('error', () => {
      clearTimeout(total);
      if (!timedOut) resolve({ kind: 'unreachable', wasReused: outgoing.reusedSocket });
    });
    outgoing.end(body);
  });
}
