import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * HMAC over the raw bytes of a delivery, in the forms platforms send it. Several secrets are tried because a rotated
 * secret takes effect on the platform's side up to an hour later (Shopify) or a deployment earlier.
 */
export interface SignatureScheme {
  readonly algorithm: 'sha256' | 'sha1' | 'sha512';
  readonly encoding: 'base64' | 'hex';
  /** Text before the signature in its header (`sha256=`). */
  readonly prefix?: string | undefined;
  /**
   * What is signed, where it is not the body alone: `{body}` stands for the raw bytes, every other `{name}` for the
   * value given under that name (a timestamp, a URL).
   */
  readonly template?: string | undefined;
}

export interface SignedDelivery {
  readonly raw: Uint8Array;
  readonly signature: string;
  readonly parts?: Readonly<Record<string, string>> | undefined;
}

export const maxWebhookSecrets = 8;
const maxSignatureLength = 512;

/** True when one of the secrets (texts, or the bytes they stand for) signed exactly these bytes. Every secret is tried, so timing does not tell which fits. */
export function isSignedBy(
  scheme: SignatureScheme,
  secrets: readonly (string | Uint8Array)[],
  delivery: SignedDelivery,
): boolean {
  const prefix = scheme.prefix ?? '';
  if (delivery.signature.length > maxSignatureLength || !delivery.signature.startsWith(prefix)) return false;
  const given = Buffer.from(delivery.signature.slice(prefix.length), scheme.encoding);
  let isGenuine = false;
  for (const secret of secrets.slice(0, maxWebhookSecrets)) {
    // An empty secret would let anybody sign.
    if (secret.length === 0) continue;
    const expected = sign(scheme, secret, delivery);
    if (given.length === expected.length && timingSafeEqual(given, expected)) isGenuine = true;
  }
  return isGenuine;
}

function sign(scheme: SignatureScheme, secret: string | Uint8Array, delivery: SignedDelivery): Buffer {
  const hmac = createHmac(scheme.algorithm, secret);
  if (scheme.template === undefined) return hmac.update(delivery.raw).digest();
  for (const piece of scheme.template.split(/(\{[a-z]+\})/i)) {
    if (piece === '{body}') hmac.update(delivery.raw);
    else if (piece.startsWith('{')) hmac.update(delivery.parts?.[piece.slice(1, -1)] ?? '');
    else hmac.update(piece);
  }
  return hmac.digest();
}

/** The single value of a header, whatever its case; undefined when absent, repeated or longer than `maxLength`. */
export function headerOf(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  name: string,
  maxLength = 512,
): string | undefined {
  // Node's own headers are in lower case already; those of a queue's message are as they were written.
  const value = headers[name] ?? Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  const single = typeof value === 'string' ? value : value?.length === 1 ? value[0] : undefined;
  if (single === undefined || single.length === 0 || single.length > maxLength) return undefined;
  return single;
}
