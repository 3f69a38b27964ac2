import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { StockmeshError } from '../domain/errors.ts';

const retryMs = 50;

export type DataDirLock = { release(): void };

/**
 * Makes the directory ours alone until `release()` or the end of the process, however it ends.
 *
 * The lock is the kernel's own (through SQLite, the only file lock Node has): a dead process holds nothing, so there is
 * no stale lock to judge by process ids, which are reused and mean nothing across containers. It waits a little,
 * because a daemon that is restarted may still be on its way out. Throws DATA_DIR_LOCKED.
 */
export async function lockDataDir(dir: string, waitMs = 3_000): Promise<DataDirLock> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  // An existing directory keeps its mode above; the ledger and its socket are for this user only.
  await chmod(dir, 0o700);
  const ownerFile = join(dir, 'daemon.pid');
  const untilMs = performance.now() + waitMs;
  let database = tryLock(join(dir, 'daemon.lock'));
  while (database === undefined) {
    if (performance.now() >= untilMs) {
      const pid = await readFile(ownerFile, 'utf8').catch(() => 'unknown');
      throw new StockmeshError('DATA_DIR_LOCKED', { dir, pid: pid.trim() });
    }
    await delay(retryMs);
    database = tryLock(join(dir, 'daemon.lock'));
  }
  await writeFile(ownerFile, `${process.pid}\n`);
  const held = database;
  return {
    release: () => {
      if (held.isOpen) held.close();
    },
  };
}

/** The open database that holds the lock, or undefined when somebody else does. */
function tryLock(file: string): DatabaseSync | undefined {
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    const sqliteBusy = 5;
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return undefined;
    throw error;
  }
}
