import { createHmac } from 'node:crypto';
import type { Secret } from '../domain/secret.ts';

const minKeyBytes = 24;
const maxKeyBytes = 64;

/** As Standard Webhooks has it: `whsec_` and base64 of 24 to 64 bytes. Throws on anything else. */
export function standardKey(secret: Secret): Buffer {
  const text = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.reveal())?.[1];
  const key = Buffer.from(text ?? '', 'base64');
  if (key.length < minKeyBytes || key.length > maxKeyBytes)
    throw new Error('the secret of an endpoint is no whsec_ secret');
  return key;
}

/** For receivers older than the standard: what follows `whsec_` is base64 of any length, anything else is the key itself. */
export function anyKey(secret: Secret): Buffer {
  const text = secret.reveal();
  return text.startsWith('whsec_') ? Buffer.from(text.slice('whsec_'.length), 'base64') : Buffer.from(text);
}

/**
 * Headers of one attempt (Standard Webhooks 1.0.0, symmetric `v1`, over `id.timestamp.body`). The id is the same for every
 * try, so that a receiver can tell repeats. Several keys while a secret is replaced: a receiver that knows either
 * accepts. Without a key the message is told apart and not signed.
 */
export function webhookHeaders(
  message: { readonly id: string; readonly body: string },
  keys: readonly Buffer[],
  nowMs: number,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signed = `${message.id}.${timestamp}.${message.body}`;
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    ...(signatures.length === 0 ? {} : { 'webhook-signature': signatures.join(' ') }),
  };
}
