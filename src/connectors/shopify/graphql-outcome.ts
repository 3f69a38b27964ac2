import type { LearnedBudget } from '../ports.ts';
import { isRecord, listOf, textOf } from '../raw-json.ts';

/** How one GraphQL request ended. `unknown` is the only one after which a mutation may have been applied. */
export type GraphqlOutcome =
  | {
      readonly kind: 'answer';
      readonly data: Readonly<Record<string, unknown>>;
      readonly extensions: Readonly<Record<string, unknown>>;
      /** Our clock. */
      readonly sentAtMs: number;
    }
  | { readonly kind: 'throttled'; readonly waitMs: number }
  /** The token is not accepted (any more). */
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'denied'; readonly reason: string; readonly remedy: string }
  | { readonly kind: 'too-costly' }
  /** Malformed in Shopify's eyes: it would be refused again. */
  | { readonly kind: 'refused'; readonly reason: string; readonly paths?: readonly string[] | undefined }
  | { readonly kind: 'not-sent'; readonly reason: string }
  | {
      readonly kind: 'unknown';
      readonly reason: string;
      /** Fields that GraphQL errors name (`orders.nodes.0.fulfillments`). */
      readonly paths?: readonly string[] | undefined;
    };

/** Executed or not, nobody knows. Every code that is not listed anywhere counts as one of these. */
const refusedCodes = new Set([
  'BAD_REQUEST',
  'INVALID_FIELD_ARGUMENTS',
  'INVALID_VARIABLE',
  'argumentLiteralsIncompatible',
  'argumentNotAccepted',
  'missingRequiredArguments',
  'undefinedField',
  'undefinedType',
  'variableMismatch',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
]);
const minThrottleMs = 50;
const maxThrottleMs = 60_000;
const usualThrottleMs = 1_000;

export function outcomeOfStatus(status: number, retryAfter: string | null): GraphqlOutcome {
  if (status === 401) return { kind: 'unauthorized' };
  const remedies: Readonly<Record<number, string>> = {
    402: 'The shop is frozen: its owner must settle the bill with Shopify',
    403: 'Install the app with the scopes the documentation lists; a public app needs expiring tokens',
    404: 'Check the shop domain, the base URL and that the shop still exists',
    423: 'The shop is locked: ask Shopify to unlock it',
  };
  const remedy = remedies[status];
  if (remedy !== undefined) return { kind: 'denied', reason: `HTTP ${status}`, remedy };
  // 430: Shopify's shield against clients that look like an attack.
  if (status === 429 || status === 430) {
    const seconds = Number(retryAfter);
    const waitMs = retryAfter !== null && seconds > 0 ? seconds * 1_000 : usualThrottleMs;
    return { kind: 'throttled', waitMs: clampWait(waitMs) };
  }
  if (status >= 500 || status === 408) return { kind: 'unknown', reason: `HTTP ${status}` };
  return { kind: 'refused', reason: `HTTP ${status}` };
}

/** Top-level GraphQL errors. `hasData`: the answer has a `data` member, so execution had begun. */
export function outcomeOfErrors(errors: unknown, hasData: boolean, extensions: unknown): GraphqlOutcome {
  const codes: string[] = [];
  const paths: string[] = [];
  let first = '';
  for (const error of listOf(errors) ?? []) {
    if (!isRecord(error)) continue;
    const details = isRecord(error['extensions']) ? error['extensions'] : {};
    codes.push(textOf(details['code']) ?? '');
    paths.push((listOf(error['path']) ?? []).join('.'));
    first ||= shortMessage(textOf(error['message']));
  }
  if (codes.includes('THROTTLED')) return { kind: 'throttled', waitMs: throttleWait(extensions) };
  // Refused before execution and before anything was charged.
  if (codes.includes('MAX_COST_EXCEEDED')) return { kind: 'too-costly' };
  if (codes.includes('ACCESS_DENIED')) {
    return {
      kind: 'denied',
      reason: first,
      remedy: 'Grant the app the missing access scope and install it again',
    };
  }
  if (codes.includes('SHOP_INACTIVE')) {
    return { kind: 'denied', reason: first, remedy: 'The shop is not active: its owner must open it again' };
  }
  // Validation comes before execution: without `data` nothing ran. With it, only codes known to be refusals are believed.
  const isRefused = codes.length > 0 && codes.every((code) => refusedCodes.has(code));
  if (isRefused || (!hasData && codes.every((code) => refusedCodes.has(code) || code === '')))
    return { kind: 'refused', reason: first || 'GraphQL errors without a message', paths };
  return { kind: 'unknown', reason: first || 'GraphQL errors without a message', paths };
}

export function budgetOf(extensions: unknown): { requested: number | undefined; budget: LearnedBudget } {
  const cost = isRecord(extensions) && isRecord(extensions['cost']) ? extensions['cost'] : {};
  const status = isRecord(cost['throttleStatus']) ? cost['throttleStatus'] : {};
  return {
    requested: positive(cost['requestedQueryCost']),
    budget: {
      capacity: positive(status['maximumAvailable']),
      available: typeof status['currentlyAvailable'] === 'number' ? status['currentlyAvailable'] : undefined,
      refillPerS: positive(status['restoreRate']),
    },
  };
}

function throttleWait(extensions: unknown): number {
  const { requested, budget } = budgetOf(extensions);
  if (requested === undefined || budget.available === undefined || budget.refillPerS === undefined)
    return usualThrottleMs;
  return clampWait(((requested - budget.available) / budget.refillPerS) * 1_000);
}

function clampWait(ms: number): number {
  return Math.min(maxThrottleMs, Math.max(minThrottleMs, Math.ceil(ms)));
}

function positive(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : undefined;
}

function shortMessage(message: string | undefined): string {
  return (message ?? '').replaceAll(/\s+/g, ' ').slice(0, 300);
}
