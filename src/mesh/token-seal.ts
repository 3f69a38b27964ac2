import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const version = 'v1';
const nonceBytes = 12;
const tagBytes = 16;

/** Shortest master key in bytes of text: 32 random bytes are 44 characters of base64. */
export const minMasterKeyLength = 32;

/**
 * Seals credentials for Redis with AES-256-GCM under a key derived from the master key and the merchant. The context
 * (channel and name) is authenticated too, so a record copied to another key does not open.
 */
export class TokenSeal {
  readonly #key: Buffer;

  constructor(masterKey: string, merchant: string) {
    this.#key = Buffer.from(hkdfSync('sha256', masterKey, `stockmesh/${merchant}`, 'platform tokens v1', 32));
  }

  close(context: string, text: string): string {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    cipher.setAAD(Buffer.from(`${version}/${context}`));
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${version}.${sealed.toString('base64')}`;
  }

  /** Undefined when it was sealed under another key or context, or changed since. */
  open(context: string, record: string): string | undefined {
    if (!record.startsWith(`${version}.`)) return undefined;
    const sealed = Buffer.from(record.slice(version.length + 1), 'base64');
    if (sealed.length < nonceBytes + tagBytes) return undefined;
    try {
      const options = { authTagLength: tagBytes };
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, nonceBytes), options);
      decipher.setAAD(Buffer.from(`${version}/${context}`));
      decipher.setAuthTag(sealed.subarray(-tagBytes));
      const body = sealed.subarray(nonceBytes, -tagBytes);
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
    } catch {
      return undefined;
    }
  }
}
