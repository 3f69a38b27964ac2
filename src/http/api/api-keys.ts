import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { agentScopes, type Caller, type CallerClass, callerClasses, type Scope, scopes } from './caller.ts';

/** Where the records of keys are kept, for every daemon of the merchant. */
export interface KeyStore {
  all(kind: 'apiKeys'): Promise<ReadonlyMap<string, string>>;
  put(kind: 'apiKeys', id: string, content: string): Promise<void>;
  change(
    kind: 'apiKeys',
    id: string,
    to: (stored: string | undefined) => string | undefined,
  ): Promise<'changed' | 'left'>;
}

const record = z.object({
  id: z.string(),
  name: z.string(),
  class: z.enum(callerClasses),
  scopes: z.array(z.enum(scopes)),
  agentId: z.string().optional(),
  /** SHA-256 of the secret, hex: 32 random bytes need no slow hash. */
  hash: z.string(),
  /** The secret before the last rotation, for as long as it is still taken. */
  previousHash: z.string().optional(),
  previousUntilMs: z.number().optional(),
  createdAtMs: z.number(),
  expiresAtMs: z.number().optional(),
  revokedAtMs: z.number().optional(),
});
type KeyRecord = z.output<typeof record>;

export interface NewKey {
  readonly name: string;
  readonly class: CallerClass;
  readonly scopes: readonly Scope[];
  readonly agentId?: string | undefined;
  readonly expiresAtMs?: number | undefined;
}

/** What is shown of a key: everything but its secret. */
export type KeyView = Omit<KeyRecord, 'hash' | 'previousHash'> & {
  readonly state: 'valid' | 'expired' | 'revoked';
};

export type CheckResult = Caller | 'unknown' | 'expired' | 'revoked';

const tokenPattern = /^smk_([a-z2-9]{10})_([A-Za-z0-9_-]{43})$/;
const idLetters = 'abcdefghijkmnpqrstuvwxyz23456789';
const reloadMs = 2_000;
const maxVerified = 1_000;

interface Verified {
  readonly record: KeyRecord;
  /** By the secret before the last rotation. */
  readonly isPrevious: boolean;
  readonly caller: Caller;
}

/**
 * API keys: `smk_<id>_<secret>`. The id finds the record, only the secret's hash is kept. Every daemon has all records in
 * memory and reads them again every two seconds, so that a request pays no round trip; a key revoked at one daemon is
 * refused by the others two seconds later. While Redis is away the last known records count.
 *
 *   made --load--> following --every 2 s--> following      any --close--> stopped
 */
export class ApiKeys {
  readonly #store: KeyStore;
  readonly #nowMs: () => number;
  readonly #onError: (error: unknown) => void;
  #records = new Map<string, KeyRecord>();
  /** Tokens that open a record as it is now: forgotten with every reading of the records, two seconds old at most. */
  readonly #verified = new Map<string, Verified>();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: KeyStore, nowMs: () => number, onError: (error: unknown) => void) {
    this.#store = store;
    this.#nowMs = nowMs;
    this.#onError = onError;
  }

  async start(): Promise<void> {
    await this.reload();
    this.#timer = setInterval(() => void this.reload().catch(this.#onError), reloadMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async reload(): Promise<void> {
    const rows = await this.#store.all('apiKeys');
    const records = new Map<string, KeyRecord>();
    for (const [id, text] of rows) {
      const parsed = record.safeParse(jsonOf(text));
      // A record that cannot be read opens nothing.
      if (parsed.success) records.set(id, parsed.data);
    }
    this.#setRecords(records);
  }

  /** What was verified against other records is verified again. */
  #setRecords(records: Map<string, KeyRecord>): void {
    this.#records = records;
    this.#verified.clear();
  }

  /** Whether there is any: with the first key the local operator needs credentials too. */
  get isEmpty(): boolean {
    return this.#records.size === 0;
  }

  check(token: string): CheckResult {
    const known = this.#verified.get(token) ?? this.#verify(token);
    if (known === undefined) return 'unknown';
    const { record: of, isPrevious, caller } = known;
    const nowMs = this.#nowMs();
    if (isPrevious && nowMs >= (of.previousUntilMs ?? 0)) return 'unknown';
    if (of.revokedAtMs !== undefined) return 'revoked';
    if (of.expiresAtMs !== undefined && nowMs >= of.expiresAtMs) return 'expired';
    return caller;
  }

  /** Whether the token opens its record; when, is judged at every request. */
  #verify(token: string): Verified | undefined {
    const [, id = '', secret = ''] = tokenPattern.exec(token) ?? [];
    const known = this.#records.get(id);
    const given = Buffer.from(hash('sha256', secret, 'hex'));
    // Compared also for ids that do not exist: both take the same time.
    const isCurrent = timingSafeEqual(given, Buffer.from(known?.hash ?? unknownHash));
    if (known === undefined) return undefined;
    const isPrevious =
      !isCurrent &&
      known.previousHash !== undefined &&
      timingSafeEqual(given, Buffer.from(known.previousHash));
    if (!isCurrent && !isPrevious) return undefined;
    const caller: Caller = {
      keyId: known.id,
      class: known.class,
      scopes: new Set(known.scopes),
      ...(known.agentId === undefined ? {} : { agentId: known.agentId }),
    };
    const verified = { record: known, isPrevious, caller };
    if (this.#verified.size >= maxVerified) this.#verified.clear();
    this.#verified.set(token, verified);
    return verified;
  }

  list(): readonly KeyView[] {
    return [...this.#records.values()].map((known) => this.#view(known));
  }

  /** The token is told this once. An agent is given no scope an agent may not have. */
  async create(key: NewKey): Promise<{ readonly view: KeyView; readonly token: string }> {
    const id = Array.from(randomBytes(10), (byte) => idLetters[byte % idLetters.length]).join('');
    const secret = randomBytes(32).toString('base64url');
    const made: KeyRecord = {
      id,
      name: key.name,
      class: key.class,
      scopes: key.class === 'agent' ? key.scopes.filter((scope) => agentScopes.has(scope)) : [...key.scopes],
      ...(key.agentId === undefined ? {} : { agentId: key.agentId }),
      hash: hash('sha256', secret, 'hex'),
      createdAtMs: this.#nowMs(),
      ...(key.expiresAtMs === undefined ? {} : { expiresAtMs: key.expiresAtMs }),
    };
    await this.#keep(made);
    return { view: this.#view(made), token: `smk_${id}_${secret}` };
  }

  /** A new secret under the same id: holds stay with their key. The old one is taken for `graceMs` more. */
  async rotate(
    id: string,
    graceMs: number,
  ): Promise<{ readonly view: KeyView; readonly token: string } | undefined> {
    const secret = randomBytes(32).toString('base64url');
    const next = await this.#change(id, (known) =>
      known.revokedAtMs === undefined
        ? {
            ...known,
            hash: hash('sha256', secret, 'hex'),
            previousHash: known.hash,
            previousUntilMs: this.#nowMs() + graceMs,
          }
        : undefined,
    );
    return next === undefined ? undefined : { view: this.#view(next), token: `smk_${id}_${secret}` };
  }

  /** At once here, within two seconds at other daemons. The record stays, so that its holds keep a name. */
  async revoke(id: string): Promise<KeyView | undefined> {
    const next = await this.#change(id, (known) => ({
      ...known,
      revokedAtMs: known.revokedAtMs ?? this.#nowMs(),
    }));
    return next === undefined ? undefined : this.#view(next);
  }

  /**
   * From the record as it is kept now, and only over that one: a rotation that was begun before a revocation and written
   * after it would open the key again.
   */
  async #change(id: string, to: (known: KeyRecord) => KeyRecord | undefined): Promise<KeyRecord | undefined> {
    let next: KeyRecord | undefined;
    await this.#store.change('apiKeys', id, (stored) => {
      const known = record.safeParse(jsonOf(stored ?? ''));
      next = known.success ? to(known.data) : undefined;
      return next && JSON.stringify(next);
    });
    if (next !== undefined) this.#setRecords(this.#records.set(id, next));
    return next;
  }

  async #keep(next: KeyRecord): Promise<void> {
    await this.#store.put('apiKeys', next.id, JSON.stringify(next));
    this.#setRecords(this.#records.set(next.id, next));
  }

  #view({ hash: _hash, previousHash: _previous, ...shown }: KeyRecord): KeyView {
    const isExpired = shown.expiresAtMs !== undefined && this.#nowMs() >= shown.expiresAtMs;
    return { ...shown, state: shown.revokedAtMs !== undefined ? 'revoked' : isExpired ? 'expired' : 'valid' };
  }
}

const unknownHash = '0'.repeat(64);

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
