import { randomBytes } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StockmeshError } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import { minMasterKeyLength } from '../mesh/token-seal.ts';

const fileName = 'master.key';

/**
 * The key that seals platform tokens: the configured one, or one made at the first start and kept in the data directory.
 * Several daemons of a merchant need the same, so they need a configured one.
 */
export async function masterKey(dataDir: string, configured: Secret | undefined): Promise<Secret> {
  return longEnough(configured ?? (await keptKey(join(dataDir, fileName))));
}

async function keptKey(path: string): Promise<Secret> {
  try {
    // `wx`: of two processes that find nothing only one makes the key.
    const file = await open(path, 'wx', 0o600);
    await file.writeFile(randomBytes(32).toString('base64'));
    await file.sync();
    await file.close();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new StockmeshError('MASTER_KEY_UNUSABLE', { reason: `${path} can be read by others: chmod 600` });
  }
  return new Secret((await readFile(path, 'utf8')).trim());
}

function longEnough(key: Secret): Secret {
  if (key.reveal().length >= minMasterKeyLength) return key;
  throw new StockmeshError('MASTER_KEY_UNUSABLE', {
    reason: `it must have at least ${minMasterKeyLength} characters`,
  });
}
