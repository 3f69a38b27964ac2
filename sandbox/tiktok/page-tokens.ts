import { createHash } from 'node:crypto';

/**
 * Opaque page tokens: an offset bound to the search it belongs to. They are offsets into a living list on purpose: rows
 * that leave it while a client pages make the later ones move up. Bytes are chosen so that the text holds `+`, `/` and `=`.
 */
export function pageToken(search: unknown, offset: number): string {
  return Buffer.from(`\u00fb\u00ef\u00be~?>${hashOf(search)}:${offset}`, 'latin1').toString('base64');
}

/** The offset; undefined for a token of another search. */
export function offsetOf(search: unknown, token: string): number | undefined {
  const text = Buffer.from(token, 'base64').toString('latin1');
  const match = /^\u00fb\u00ef\u00be~\?>([0-9a-f]{12}):(\d{1,9})$/.exec(text);
  const offset = Number(match?.[2]);
  // Decoding base64 forgives characters that were changed on the way.
  return match !== null && pageToken(search, offset) === token ? offset : undefined;
}

function hashOf(search: unknown): string {
  return createHash('sha256').update(JSON.stringify(search)).digest('hex').slice(0, 12);
}
