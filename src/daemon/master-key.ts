import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { StockmeshError } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';
import { minMasterKeyLength } from '../mesh/vault-envelope.ts';

const fileName = 'master.key';

export interface MasterKeys {
  readonly sealing: Secret;
  /** Open what they sealed before the sealing key took over. */
  readonly opening: readonly Secret[];
  /** Only where the key is kept in the data directory: the configuration decides about a configured one. */
  readonly kept?: KeptKey | undefined;
}

/** How a kept key is replaced: both files are there until nothing needs the old one any more. */
export interface KeptKey {
  /** The key that takes over; the one that an interrupted rotation made, if there was one. */
  successor(): Promise<Secret>;
  retire(): Promise<void>;
}

/**
 * The keys of the vault: the configured ones, or one made at the first start and kept in the data directory. Several
 * daemons of a merchant need the same, so they need a configured one.
 */
export async function masterKeys(
  dataDir: string,
  configured: Secret | undefined,
  others: readonly Secret[],
): Promise<MasterKeys> {
  const path = join(dataDir, fileName);
  const next = `${path}.next`;
  for (const key of [configured, ...others]) if (key !== undefined) requireLength(key, 'the configured one');
  if (configured !== undefined) {
    // A kept key from before still opens what it sealed.
    const kept = await Promise.all([readKey(path), readKey(next)]);
    return { sealing: configured, opening: [...others, ...kept.filter((key) => key !== undefined)] };
  }
  const current = (await readKey(path)) ?? (await makeKey(path));
  const successor = await readKey(next);
  return {
    sealing: successor ?? current,
    opening: successor === undefined ? others : [...others, current],
    kept: {
      successor: async () => (await readKey(next)) ?? makeKey(next),
      async retire() {
        await rename(next, path);
        await syncDirectory(dataDir);
      },
    },
  };
}

async function readKey(path: string): Promise<Secret | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw new StockmeshError('MASTER_KEY_UNUSABLE', { reason: `${path} cannot be read` }, { cause: error });
  }
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new StockmeshError('MASTER_KEY_UNUSABLE', { reason: `${path} can be read by others: chmod 600` });
  }
  return requireLength(new Secret(text.trim()), path);
}

/** Whole or not at all, however the process ends; of two processes that make one only the first counts. */
async function makeKey(path: string): Promise<Secret> {
  const draft = `${path}.${process.pid}.tmp`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(randomBytes(32).toString('base64'));
    await file.sync();
  } finally {
    await file.close();
  }
  await link(draft, path).catch((error: unknown) => {
    if (!isCode(error, 'EEXIST')) throw error;
  });
  await unlink(draft);
  await syncDirectory(join(path, '..'));
  const made = await readKey(path);
  if (made === undefined) throw new StockmeshError('MASTER_KEY_UNUSABLE', { reason: `${path} vanished` });
  return made;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function requireLength(key: Secret, where: string): Secret {
  if (key.reveal().length >= minMasterKeyLength) return key;
  throw new StockmeshError('MASTER_KEY_UNUSABLE', {
    reason: `it must have at least ${minMasterKeyLength} characters (${where})`,
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
