import { request } from 'node:https';
import { type Post, type PostAnswer, connectTimeoutMs } from './post.ts';
import { limitTime } from './time-limit.ts';

/** Over Node's own client and its agent for all. */
export function postOverTls({ uri, headers, body, timeoutMs }: Post): Promise<PostAnswer> {
  return new Promise((resolve) => {
    let timedOut = false;
    const outgoing = request(uri, {
      method: 'POST',
      headers: { ...headers, 'Content-Length': Buffer.byteLength(body) },
    });
    const answered = limitTime(timeoutMs, () => {
      timedOut = true;
      outgoing.destroy();
      resolve({ kind: 'timeout' });
    });
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) return;
      const connected = limitTime(connectTimeoutMs, () => outgoing.destroy());
      socket.once('connect', connected);
      socket.once('close', connected);
    });
    outgoing.on('response', (response) => {
      let isEmpty = true;
      response.on('data', () => (isEmpty = false));
      response.on('end', () => {
        answered();
        resolve({ kind: 'answered', status: response.statusCode ?? 0, isEmpty });
      });
      response.on('error', () => resolve({ kind: 'unreachable', wasReused: false }));
    });
    outgoing.on('error', () => {
      answered();
      if (!timedOut) resolve({ kind: 'unreachable', wasReused: outgoing.reusedSocket });
    });
    outgoing.end(body);
  });
}
