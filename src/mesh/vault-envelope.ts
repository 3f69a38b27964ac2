import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../domain/secret.ts';

const version = 'v2';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** Shortest master key in characters: 32 random bytes are 44 characters of base64. */
export const minMasterKeyLength = 32;

/** Where a credential belongs; authenticated, so that a record copied to another place does not open. */
export interface VaultPlace {
  readonly merchant: string;
  readonly channel: string;
  readonly field: string;
}

/** What of a master key wraps data keys: derived per merchant, with an id that tells master keys apart. */
export interface WrappingKey {
  readonly id: string;
  readonly key: Buffer;
}

export type Opened =
  | { readonly kind: 'opened'; readonly text: string }
  | { readonly kind: 'unknown-key'; readonly keyId: string }
  /** Changed since it was sealed, copied from another place, or never a record of ours. */
  | { readonly kind: 'changed' };

export type Rewrapped =
  | { readonly kind: 'rewrapped'; readonly record: string }
  | Exclude<Opened, { readonly kind: 'opened' }>;

export function wrappingKey(masterKey: Secret, merchant: string): WrappingKey {
  const derive = (what: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', masterKey.reveal(), `stockmesh/${merchant}`, what, bytes));
  return {
    id: derive('vault wrapping key id v2', 6).toString('hex'),
    key: derive('vault wrapping key v2', keyBytes),
  };
}

/**
 * Envelope: the text under a random data key of its own, the data key under a key of the master key, both AES-256-GCM.
 * A change of the master key rewrites the small half only, and no data key ever seals a second text.
 *
 *   v2 . id of the wrapping key . base64url(nonce, wrapped data key, tag) . base64url(nonce, sealed text, tag)
 */
export function seal(text: string, place: VaultPlace, key: WrappingKey): string {
  const dataKey = randomBytes(keyBytes);
  try {
    const wrapped = encrypt(dataKey, key.key, contextOf('data key', place, key.id));
    const sealed = encrypt(Buffer.from(text, 'utf8'), dataKey, contextOf('text', place));
    return [version, key.id, wrapped.toString('base64url'), sealed.toString('base64url')].join('.');
  } finally {
    dataKey.fill(0);
  }
}

export function open(record: string, place: VaultPlace, keys: readonly WrappingKey[]): Opened {
  const found = dataKeyOf(record, place, keys);
  if (found.kind !== 'data-key') return found;
  const text = decrypt(found.sealed, found.dataKey, contextOf('text', place));
  found.dataKey.fill(0);
  return text === undefined ? { kind: 'changed' } : { kind: 'opened', text: text.toString('utf8') };
}

/** The same text and data key under another master key; the text itself is not touched, only proved to open. */
export function rewrap(
  record: string,
  place: VaultPlace,
  keys: readonly WrappingKey[],
  to: WrappingKey,
): Rewrapped {
  const found = dataKeyOf(record, place, keys);
  if (found.kind !== 'data-key') return found;
  try {
    if (decrypt(found.sealed, found.dataKey, contextOf('text', place)) === undefined)
      return { kind: 'changed' };
    const wrapped = encrypt(found.dataKey, to.key, contextOf('data key', place, to.id));
    const rewritten = [version, to.id, wrapped.toString('base64url'), found.sealed.toString('base64url')];
    return { kind: 'rewrapped', record: rewritten.join('.') };
  } finally {
    found.dataKey.fill(0);
  }
}

/** The wrapping key a record names; undefined when it has not the form of a record. */
export function keyIdOf(record: string): string | undefined {
  return /^v2\.([0-9a-f]{12})\./.exec(record)?.[1];
}

type FoundDataKey =
  | { readonly kind: 'data-key'; readonly dataKey: Buffer; readonly sealed: Buffer }
  | Exclude<Opened, { readonly kind: 'opened' }>;

function dataKeyOf(record: string, place: VaultPlace, keys: readonly WrappingKey[]): FoundDataKey {
  const [, , wrappedText = '', sealedText = '', ...more] = record.split('.');
  const keyId = keyIdOf(record);
  const wrapped = exactBytes(wrappedText);
  const sealed = exactBytes(sealedText);
  if (keyId === undefined || wrapped === undefined || sealed === undefined || more.length > 0)
    return { kind: 'changed' };
  const key = keys.find(({ id }) => id === keyId);
  if (key === undefined) return { kind: 'unknown-key', keyId };
  const dataKey = decrypt(wrapped, key.key, contextOf('data key', place, key.id));
  return dataKey?.length === keyBytes ? { kind: 'data-key', dataKey, sealed } : { kind: 'changed' };
}

/** As JSON, so that no two places can be spelt alike whatever their names hold. */
function contextOf(what: string, { merchant, channel, field }: VaultPlace, keyId = ''): Buffer {
  return Buffer.from(JSON.stringify(['stockmesh vault', version, what, keyId, merchant, channel, field]));
}

/** Undefined unless it is the one spelling of its bytes: base64 has bits and characters that a decoder passes over. */
function exactBytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text && bytes.length >= nonceBytes + tagBytes ? bytes : undefined;
}

function encrypt(clear: Buffer, key: Buffer, context: Buffer): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(context);
  return Buffer.concat([nonce, cipher.update(clear), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(sealed: Buffer, key: Buffer, context: Buffer): Buffer | undefined {
  const nonce = sealed.subarray(0, nonceBytes);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(context);
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  try {
    const body = sealed.subarray(nonceBytes, -tagBytes);
    return Buffer.concat([decipher.update(body), decipher.final()]);
  } catch {
    return undefined;
  }
}
