import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What fits into `sun_path` everywhere: 107 bytes on Linux, 103 on macOS. */
const maxSocketPathBytes = 100;

export type SocketPath = { readonly path: string; release(): Promise<void> };

/**
 * A path to the socket `name` in `dir` that is short enough to connect to; through a link where the directory's own
 * path is too long. (The server itself binds a relative name, which is always short.)
 */
export async function shortSocketPath(dir: string, name: string): Promise<SocketPath> {
  const direct = join(dir, name);
  if (Buffer.byteLength(direct) <= maxSocketPathBytes)
    return { path: direct, release: () => Promise.resolve() };
  const parent = Buffer.byteLength(tmpdir()) > 60 ? '/tmp' : tmpdir();
  const link = await mkdtemp(join(parent, 'sm-'));
  await symlink(dir, join(link, 'd'));
  return {
    path: join(link, 'd', name),
    release: () => rm(link, { recursive: true, force: true }),
  };
}

/**
 * Sends one command without arguments and answers the first line of the reply (`+PONG`, `-LOADING ...`), '' when somebody
 * listens and does not answer in time, undefined when nobody listens or the connection ends. Used where a client library
 * would wait, retry or reconnect.
 */
export function askRedis(
  path: string,
  command: 'PING' | 'SHUTDOWN',
  timeoutMs: number,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let reply = '';
    const end = (answer: string | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => end(''));
    socket.on('error', () => end(undefined));
    // SHUTDOWN answers by closing the connection.
    socket.on('close', () => end(undefined));
    socket.on('connect', () => socket.write(`${command}\r\n`));
    socket.on('data', (chunk) => {
      reply += chunk.toString('latin1');
      const lineEnd = reply.indexOf('\r\n');
      if (lineEnd >= 0) end(reply.slice(0, lineEnd));
    });
  });
}
