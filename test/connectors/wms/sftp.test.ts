import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CsvConnection } from '../../../src/connectors/wms/options.ts';
import { freePort } from '../../support/free-port.ts';
import { never, rejection } from '../shopify/parts.ts';
import { figures, rigFor, secret } from './parts.ts';

const program = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));
const isInstalled = (() => {
  try {
    createRequire(import.meta.url).resolve('ssh2-sftp-client');
    return true;
  } catch {
    return false;
  }
})();
const isPossible = program !== undefined && isInstalled;
if (!isPossible)
  console.log('SFTP tests are skipped: they need sshd and the optional package ssh2-sftp-client');

describe.skipIf(!isPossible)('SFTP, against a real sshd', () => {
  let dir: string;
  let inbox: string;
  let server: ChildProcess;
  let port: number;
  let hostKey: string;
  let userKey: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sm-sftp-'));
    inbox = join(dir, 'in');
    mkdirSync(inbox);
    // Where sshd drops its privileges when it has some.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
    for (const name of ['host', 'user']) {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, name)]);
    }
    hostKey =
      /SHA256:\S+/.exec(execFileSync('ssh-keygen', ['-lf', join(dir, 'host.pub')]).toString())?.[0] ?? '';
    userKey = readFileSync(join(dir, 'user'), 'utf8');
    port = await freePort();
    const settings = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(dir, 'host')}`,
      `AuthorizedKeysFile ${join(dir, 'user.pub')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin yes',
      `PidFile ${join(dir, 'pid')}`,
      'Subsystem sftp internal-sftp',
    ];
    writeFileSync(join(dir, 'config'), `${settings.join('\n')}\n`);
    server = spawn(program ?? '', ['-D', '-e', '-f', join(dir, 'config')], { stdio: 'ignore' });
    await listening(port);
  });
  afterAll(() => {
    server.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  function source(hostKeys: readonly string[], privateKey = userKey): CsvConnection {
    const { username } = userInfo();
    return {
      kind: 'csv',
      from: {
        kind: 'sftp',
        host: '127.0.0.1',
        port,
        username,
        privateKey: secret(privateKey),
        path: inbox,
        hostKeys,
      },
      pattern: '\\.csv$',
      settleMs: 5,
      mode: 'snapshot',
      delimiter: ',',
      encoding: 'utf8',
      map: { sku: 'sku', onHand: 'qty' },
    };
  }

  test('a server with another host key gets no credentials, and a person is told what to do', async () => {
    const { connector } = rigFor(source([`SHA256:${'A'.repeat(43)}`]));
    const report = await connector.checkAccess(never);
    expect(report).toMatchObject({
      kind: 'needs-attention',
      reason: expect.stringContaining(hostKey) as string,
    });
  });

  test('a key that the server does not know is refused without being shown', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'stranger')]);
    const stranger = readFileSync(join(dir, 'stranger'), 'utf8');
    const report = await rigFor(source([hostKey], stranger)).connector.checkAccess(never);
    expect(report).toMatchObject({ kind: 'needs-attention', reason: '127.0.0.1 refused the user' });
  });

  test('files are read once, good ones put into done/, bad ones into failed/ with their reason', async () => {
    writeFileSync(join(inbox, 'a.csv'), 'sku,qty\nx,5\n');
    writeFileSync(join(inbox, 'b.csv'), 'sku,qty\nx,\n');
    writeFileSync(join(inbox, 'c.csv.part'), 'sku,qty\nx,7\n');
    const read: string[] = [];
    for await (const page of rigFor(source([hostKey])).connector.pollCounts?.(null, never) ?? []) {
      if (page.kind !== 'held') read.push(...figures(page));
      await page.settled?.({ kind: 'applied' });
    }
    expect(read).toEqual(['x@default=5']);
    expect(readdirSync(inbox).toSorted()).toEqual(['c.csv.part', 'done', 'failed']);
    expect(readdirSync(join(inbox, 'done'))).toEqual(['a.csv']);
    expect(readFileSync(join(inbox, 'failed/b.csv.reason.txt'), 'utf8')).toContain('quantity is missing');
  });

  test('a server that is away is waited for', async () => {
    const gone = source([hostKey]);
    // A port that was free a moment ago may be somebody's by now; this one is given to nobody.
    const away = { ...gone, from: { ...gone.from, port: 1 } } as CsvConnection;
    const { connector } = rigFor(away);
    expect((await rejection(connector.checkAccess(never))).code).toBe('CONNECTOR_UNREACHABLE');
  });
});

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('sshd did not start');
}
