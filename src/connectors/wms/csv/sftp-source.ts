import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type SftpClient from 'ssh2-sftp-client';
import { StockmeshError } from '../../../domain/errors.ts';
import { type CsvConnection, platform } from '../options.ts';
import { type FileSource, type Files, freeName, maxFiles, maxNameAttempts } from './file-source.ts';

export type SftpConnection = Extract<CsvConnection['from'], { kind: 'sftp' }>;

const operation = 'files';
const connectTimeoutMs = 15_000;
const sessionTimeoutMs = 300_000;
const usualPort = 22;

/**
 * A directory on an SFTP server. The package is optional and loaded when it is first needed. The server must show one of
 * the configured host keys before it sees a name or password: there is no "trust on first use".
 */
export function sftpSource(connection: SftpConnection): FileSource {
  const { host, port = usualPort, username, path } = connection;
  return {
    account: `${username}@${host}:${path}`,
    async session(work, signal) {
      const Client = await loadClient();
      const client = new Client();
      let shownKey: string | undefined;
      // Without a listener a broken connection would end the process.
      client.on('error', () => undefined);
      // Not AbortSignal.any with AbortSignal.timeout: that pair may be collected before it fires.
      const end = (): void => void client.end().catch(() => undefined);
      const timer = setTimeout(end, sessionTimeoutMs);
      signal.addEventListener('abort', end, { once: true });
      try {
        await client.connect({
          host,
          port,
          username,
          password: connection.password?.reveal(),
          privateKey: connection.privateKey?.reveal(),
          readyTimeout: connectTimeoutMs,
          hostVerifier: (key) => {
            shownKey = fingerprintOf(key);
            return isPinned(shownKey, connection.hostKeys);
          },
        });
        return await work(filesOf(client, path));
      } catch (error) {
        signal.throwIfAborted();
        throw failureOf(error, host, shownKey, connection.hostKeys);
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        end();
      }
    },
  };
}

/** As OpenSSH shows it: `SHA256:` and base64 without padding. */
function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

function isPinned(key: string, pinned: readonly string[]): boolean {
  return pinned.some((one) => one.replace(/=+$/, '') === key);
}

async function loadClient(): Promise<typeof SftpClient> {
  try {
    return (await import('ssh2-sftp-client')).default;
  } catch {
    throw new StockmeshError('CONNECTOR_ACCESS_DENIED', {
      platform,
      operation,
      reason: 'the package ssh2-sftp-client is not installed',
      remedy: 'Install it beside stockmesh, or have the files put into a directory',
    });
  }
}

function filesOf(client: SftpClient, directory: string): Files {
  const at = (...parts: readonly string[]): string => posix.join(directory, ...parts);
  return {
    async list() {
      const found = await client.list(directory);
      return found
        .slice(0, maxFiles)
        .filter(({ type }) => type === '-')
        .map(({ name, size, modifyTime }) => ({ name, bytes: size, modifiedAtMs: modifyTime }));
    },
    async read(name, maxBytes) {
      if ((await client.exists(at(name))) === false) return undefined;
      const { size } = await client.stat(at(name));
      if (size > maxBytes) throw new RangeError(`the file has ${size} bytes, ${maxBytes} are allowed`);
      return client.get(at(name));
    },
    async putAway(name, to, reason) {
      if ((await client.exists(at(to))) === false) await client.mkdir(at(to), true);
      for (let attempt = 0; attempt < maxNameAttempts; attempt++) {
        const kept = freeName(name, attempt);
        if ((await client.exists(at(to, kept))) !== false) continue;
        if (reason !== undefined) await client.put(Buffer.from(`${reason}\n`), at(to, `${kept}.reason.txt`));
        await client.rename(at(name), at(to, kept));
        return;
      }
      throw new Error(`${name} was put away ${maxNameAttempts} times before`);
    },
  };
}

function failureOf(
  error: unknown,
  host: string,
  shownKey: string | undefined,
  pinned: readonly string[],
): unknown {
  if (error instanceof StockmeshError || error instanceof RangeError) return error;
  if (shownKey !== undefined && !isPinned(shownKey, pinned)) {
    return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
      platform,
      operation,
      reason: `${host} shows the host key ${shownKey}, which is not one of hostKeys`,
      remedy: 'Ask the warehouse whether it changed its key; if so, put the new fingerprint into hostKeys',
    });
  }
  const text = error instanceof Error ? error.message : '';
  if (/authentication/i.test(text)) {
    return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
      platform,
      operation,
      reason: `${host} refused the user`,
      remedy: 'Check user name, password or key of the SFTP account',
    });
  }
  const stated = error instanceof Error && 'code' in error ? error.code : undefined;
  const code = typeof stated === 'string' ? stated : 'connection failed';
  return new StockmeshError('CONNECTOR_UNREACHABLE', { platform, operation, reason: `${host}: ${code}` });
}
