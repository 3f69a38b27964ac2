import { createHmac } from 'node:crypto';
import type { Secret } from '../../domain/secret.ts';

/** The key bytes of a Standard Webhooks secret (`whsec_` and base64, 24 to 64 bytes); undefined when it is none. */
export function signingKey(secret: string): Buffer | undefined {
  const text = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1];
  if (text === undefined) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.length >= 24 && key.length <= 64 ? key : undefined;
}

/**
 * Headers of one attempt (Standard Webhooks 1.0.0, symmetric `v1`). While a secret is replaced there are two signatures:
 * a receiver that knows either accepts.
 */
export function signedHeaders(
  message: { readonly id: string; readonly body: string },
  secrets: readonly Secret[],
  nowMs: number,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signed = `${message.id}.${timestamp}.${message.body}`;
  const signatures = secrets.map((secret) => {
    const key = signingKey(secret.reveal());
    if (key === undefined) throw new Error('the secret of an endpoint is no whsec_ secret');
    return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
  });
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
