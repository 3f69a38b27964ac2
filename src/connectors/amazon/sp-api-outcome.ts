import { StockmeshError } from '../../domain/errors.ts';
import type { HttpAnswer } from '../http.ts';
import { type JsonRecord, isRecord, listOf, parseRawJson, textOf } from '../raw-json.ts';
import { platform } from './options.ts';

/** What became of one request, in the few kinds that callers treat differently. */
export type SpApiOutcome =
  | { readonly kind: 'answer'; readonly body: JsonRecord; readonly sentAtMs: number }
  | { readonly kind: 'not-found'; readonly reason: string }
  | { readonly kind: 'conflict'; readonly reason: string }
  | { readonly kind: 'throttled'; readonly waitMs: number }
  /** Its token is not accepted: it did nothing and may go again with another one. */
  | { readonly kind: 'unauthorized'; readonly reason: string }
  | { readonly kind: 'denied'; readonly reason: string }
  /** Called wrong by Amazon: nothing was applied, and it would be refused again. */
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string }
  | { readonly kind: 'not-sent'; readonly reason: string }
  /** Sent; it may or may not have been carried out. */
  | { readonly kind: 'unknown'; readonly reason: string };

const maxReasonLength = 300;

/** `waitMs` is what a 429 means for this operation: Amazon sends no Retry-After. */
export function outcomeOfAnswer(answer: HttpAnswer, sentAtMs: number, waitMs: number): SpApiOutcome {
  const { status } = answer;
  const parsed = parseRawJson(answer.body);
  const body = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value : undefined;
  if (status >= 200 && status < 300) {
    // A delete may answer 200 without a body.
    if (body === undefined && answer.body.length > 0)
      return { kind: 'unknown', reason: 'the answer cannot be read' };
    return { kind: 'answer', body: body ?? {}, sentAtMs };
  }
  const { code, text } = firstErrorOf(body, status);
  if (status === 429 || code === 'QuotaExceeded') return { kind: 'throttled', waitMs };
  if (status === 401) return { kind: 'unauthorized', reason: text };
  if (status === 403) {
    // The same code stands for a missing role; only the details tell an old token from it.
    const isToken = /access token/i.test(text) && /expired|revoked|malformed|invalid|missing/i.test(text);
    return isToken ? { kind: 'unauthorized', reason: text } : { kind: 'denied', reason: text };
  }
  if (status === 404) return { kind: 'not-found', reason: text };
  if (status === 409) return { kind: 'conflict', reason: text };
  if (status === 408 || status >= 500 || status < 400) return { kind: 'unknown', reason: text };
  return { kind: 'refused', status, reason: text };
}

function firstErrorOf(body: JsonRecord | undefined, status: number): { code: string; text: string } {
  const first = (listOf(body?.['errors']) ?? []).find(isRecord);
  const code = textOf(first?.['code']) ?? '';
  const parts = [code, textOf(first?.['message']), textOf(first?.['details'])];
  const text = parts.filter((part) => part !== undefined && part !== '').join(': ');
  return { code, text: `HTTP ${status}${text === '' ? '' : ` ${text}`}`.slice(0, maxReasonLength) };
}

/** The error that stands for an outcome which is no answer. */
export function failureOf(
  operation: string,
  outcome: Exclude<SpApiOutcome, { kind: 'answer' }>,
): StockmeshError {
  const at = { platform, operation };
  switch (outcome.kind) {
    case 'throttled':
      return new StockmeshError('CONNECTOR_THROTTLED', { ...at, waitMs: outcome.waitMs });
    case 'unauthorized':
      return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
        ...at,
        reason: 'a fresh access token is not accepted',
        remedy: 'Authorise the application in Seller Central again',
      });
    case 'denied':
      return new StockmeshError('CONNECTOR_ACCESS_DENIED', {
        ...at,
        reason: outcome.reason,
        remedy:
          'Give the application the roles Product Listing and Inventory and Order Tracking, check sellerId and region, and authorise it again',
      });
    case 'refused':
    case 'not-found':
    case 'conflict':
      return new StockmeshError('CONNECTOR_REQUEST_REFUSED', { ...at, reason: outcome.reason });
    case 'not-sent':
    case 'unknown':
      break;
  }
  const isSent = outcome.kind === 'unknown';
  return new StockmeshError('CONNECTOR_UNREACHABLE', { ...at, reason: outcome.reason, isSent });
}

/** An answer that lacks a part which Amazon's model promises. */
export function unreadable(operation: string, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason });
}

export function stuck(operation: string, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_WALK_STUCK', { platform, operation, reason });
}
