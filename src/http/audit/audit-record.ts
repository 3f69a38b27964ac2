import { hash } from 'node:crypto';

/** One decision: who asked what, what was known, what was shown and why. No credentials, no personal data. */
export interface AuditContent {
  /** ISO 8601, clock of the ledger. */
  readonly at: string;
  readonly decision_id: string;
  readonly kind:
    | 'reserve'
    | 'change'
    | 'extend'
    | 'payment-pending'
    | 'commit'
    | 'release'
    | 'read'
    | 'refused-caller'
    | 'key';
  readonly outcome: string;
  readonly key_id: string;
  readonly agent_id?: string | undefined;
  readonly hold_id?: string | undefined;
  /** `<channel>:<order id>` */
  readonly order?: string | undefined;
  readonly asked: unknown;
  /** Sequence and age of what the decision was made on; what the copy knew of each SKU. */
  readonly known: { readonly sequence: string; readonly data_age_ms: number; readonly stock?: unknown };
  readonly shown: unknown;
  /** SHA-256 of the answer, as its receipt says. */
  readonly receipt?: string | undefined;
  readonly rationale: readonly string[];
}

export const firstHash = '0'.repeat(64);

/** SHA-256, hex, of `<hash of the line before>\n<n>\n<JSON text of content>`. */
export function hashOf(before: string, n: number, contentText: string): string {
  return hash('sha256', `${before}\n${n}\n${contentText}`, 'hex');
}

/** The text of the content is kept as it was hashed: `{"n":1,"hash":"..","content":{..}}`. */
export function lineOf(before: string, n: number, contentText: string): { text: string; hash: string } {
  const hashed = hashOf(before, n, contentText);
  return { text: `{"n":${n},"hash":"${hashed}","content":${contentText}}\n`, hash: hashed };
}

// With `s`: JSON text may hold U+2028, which a dot does not match without.
const linePattern = /^\{"n":(\d+),"hash":"([0-9a-f]{64})","content":(\{.*\})\}$/s;

export interface ReadLine {
  readonly n: number;
  readonly hash: string;
  readonly contentText: string;
}

export function readLine(text: string): ReadLine | undefined {
  const match = linePattern.exec(text);
  if (match === null) return undefined;
  return { n: Number(match[1]), hash: match[2] ?? '', contentText: match[3] ?? '' };
}
