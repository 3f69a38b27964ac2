import type { Secret } from '../domain/secret.ts';

const hidden = '[redacted]';
const maxValues = 1_000;
/** Shorter texts would blank out ordinary words of every line. */
const minValueLength = 6;

/** Keys whose value is never shown, in whatever object they occur. */
const secretKey =
  /pass(?:word|phrase|wd)|secret|token|authoriz|cookie|hmac|signature|credential|private-?_?key|api-?_?key|^auth$/i;
/** Keys that look like the above and say something else. */
const harmlessKey = /^(?:token(?:type|kind|count|expiresatms)|tokens|fencingtoken|leasetoken)$/i;

const patterns: readonly (readonly [RegExp, string])[] = [
  [/\bshp[a-z]{2}_[A-Za-z0-9_-]{8,}/g, hidden],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/-]{6,}=*/gi, `$1 ${hidden}`],
  // user:password@ in an address
  [/(\/\/[^\s/:@"\\]*):[^\s/@"\\]+@/g, `$1:${hidden}@`],
  // name=value of a query or a form, and "name":"value" of JSON, also when it is quoted inside a string
  [
    /((?:access_token|refresh_token|client_secret|password|hmac|signature|api_key|token)=)[^&\s"'\\]+/gi,
    `$1${hidden}`,
  ],
  [
    /(\\*"(?:access_token|refresh_token|client_secret|accessToken|refreshToken|clientSecret|password)\\*"\s*:\s*\\*")[^"\\]+/g,
    `$1${hidden}`,
  ],
];

export function isSecretKey(key: string): boolean {
  return secretKey.test(key) && !harmlessKey.test(key);
}

/**
 * The last line of defence: takes credentials out of finished text. It knows the shapes of common tokens, and the
 * exact values it was told, so that a credential is caught even inside a message some library made.
 */
export class Redactor {
  /** Forms of the credentials that are never forgotten: the configured ones. */
  readonly #kept = new Set<string>();
  readonly #values = new Set<string>();
  #known: RegExp | undefined;

  constructor(secrets: Iterable<Secret> = []) {
    for (const secret of secrets) this.keep(secret);
  }

  /** For a credential that stays in force as long as the process lives. */
  keep(secret: Secret): void {
    for (const form of formsOf(secret)) this.#kept.add(form);
    this.#compile();
  }

  /** For credentials that come and go, such as renewed tokens. Those not seen for longest are forgotten above 1,000. */
  add(secret: Secret): void {
    const forms = formsOf(secret);
    if (forms.length === 0) return;
    const isKnown = forms.every((form) => this.#values.has(form));
    for (const form of forms) {
      this.#values.delete(form);
      this.#values.add(form);
    }
    for (const value of this.#values) {
      if (this.#values.size <= maxValues) break;
      this.#values.delete(value);
    }
    if (!isKnown) this.#compile();
  }

  scrub(text: string): string {
    let clean = this.#known === undefined ? text : text.replace(this.#known, hidden);
    for (const [pattern, replacement] of patterns) clean = clean.replace(pattern, replacement);
    return clean;
  }

  #compile(): void {
    const longestFirst = [...this.#kept, ...this.#values].toSorted((a, b) => b.length - a.length);
    if (longestFirst.length > 0) this.#known = new RegExp(longestFirst.map(escapePattern).join('|'), 'g');
  }
}

/** Inside a JSON line quotes and line ends are escaped, and once more where JSON is quoted in a JSON line. */
function formsOf(secret: Secret): readonly string[] {
  const text = secret.reveal();
  if (text.length < minValueLength) return [];
  const escaped = JSON.stringify(text).slice(1, -1);
  return [...new Set([text, escaped, JSON.stringify(escaped).slice(1, -1)])];
}

// RegExp.escape is not in Node 22.
function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}
