import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '../domain/secret.ts';

const fileName = 'operator.token';

/** The token that makes its bearer the operator of this daemon: kept where only its user can read it. */
export async function operatorToken(dataDir: string): Promise<Secret> {
  try {
    const file = await open(join(dataDir, fileName), 'wx', 0o600);
    try {
      await file.writeFile(`smo_${randomBytes(32).toString('base64url')}`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  const token = readOperatorToken(dataDir);
  if (token === undefined) throw new Error(`${join(dataDir, fileName)} cannot be read, or holds no token`);
  return token;
}

/** As the operator's commands read it; undefined: they run elsewhere, or as somebody else. */
export function readOperatorToken(dataDir: string): Secret | undefined {
  try {
    const text = readFileSync(join(dataDir, fileName), 'utf8').trim();
    return /^smo_[A-Za-z0-9_-]{43}$/.test(text) ? new Secret(text) : undefined;
  } catch {
    return undefined;
  }
}
