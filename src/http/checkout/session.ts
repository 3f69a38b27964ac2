import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Caller } from '../api/caller.ts';

export type Protocol = 'ucp' | 'acp';
export type SessionKind = 'checkout' | 'cart';

export interface SessionForm {
  readonly protocol: Protocol;
  readonly kind: SessionKind;
}

const letters: Readonly<Record<Protocol, Readonly<Record<SessionKind, string>>>> = {
  ucp: { checkout: 'u', cart: 'v' },
  acp: { checkout: 'a', cart: 'b' },
};

/**
 * `<key id>.<form letter><24 characters>`: whose it is and which door it came through are read off the id. Under an
 * Idempotency-Key it is made from the key, so that an attempt whose daemon died finds what it made.
 */
export function makeSessionId(
  caller: Caller,
  { protocol, kind }: SessionForm,
  key: string | undefined,
): string {
  const rest =
    key === undefined
      ? randomBytes(18).toString('base64url')
      : hash('sha256', `${caller.keyId}\n${key}`, 'base64url').slice(0, 24);
  return `${caller.keyId}.${letters[protocol][kind]}${rest}`;
}

export function isOfForm(id: string, { protocol, kind }: SessionForm): boolean {
  return id.charAt(id.indexOf('.') + 1) === letters[protocol][kind];
}

const line = z.object({ id: z.string(), sku: z.string(), quantity: z.int() });
export type SessionLine = z.output<typeof line>;

export const remarkReasons = [
  'sold-out',
  'too-many',
  'limit',
  'low-stock',
  'expired',
  'not-open',
  'refused',
] as const;

/** Something a platform must hear about a session; each protocol has words of its own for it. */
const remark = z.object({
  kind: z.enum(['error', 'warning']),
  reason: z.enum(remarkReasons),
  /** Index of the line it is about, as the request had it. */
  line: z.int().optional(),
  text: z.string(),
});
export type Remark = z.output<typeof remark>;

/**
 * What is kept of a cart or a checkout. Units are the ledger's: of `holds` one is live, the newest while requests cross, and
 * that one says what is held. The newest may never have been made (its attempt was denied, or cut off).
 *
 *   open --create or update--> open (held)   open --update denied--> open (unmet, the hold before lives on)
 *   open --complete--> completed             open --cancel--> canceled       held --deadline--> expired
 */
export const sessionRecord = z.object({
  holds: z.array(z.object({ holdId: z.string(), lines: z.array(line) })),
  /** Of a session that never held anything: what was asked. */
  asked: z.array(line),
  /** Why the newest request could not be met; empty: it was. */
  unmet: z.array(remark),
  isCanceled: z.boolean(),
  permalinkUrl: z.string().optional(),
  createdMs: z.number(),
  changedMs: z.number(),
});
export type SessionRecord = z.output<typeof sessionRecord>;

/** Line ids stay with their SKU over changes of the session. */
export function numberLines(
  asked: readonly { readonly sku: string; readonly quantity: number }[],
  before: readonly SessionLine[],
): SessionLine[] {
  const known = [...before];
  let next = 1 + Math.max(0, ...before.map(({ id }) => Number(id.slice('li_'.length)) || 0));
  return asked.map(({ sku, quantity }) => {
    const at = known.findIndex((old) => old.sku === sku);
    const [old] = at === -1 ? [] : known.splice(at, 1);
    return { id: old?.id ?? `li_${next++}`, sku, quantity };
  });
}
