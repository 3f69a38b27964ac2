import { StockmeshError } from '../../domain/errors.ts';
import { type JsonRecord, isRecord, parseRawJson, textOf } from '../raw-json.ts';
import { platform } from './options.ts';

/** How one request ended. `unknown` is the only one after which a write may have been applied. */
export type ApiOutcome =
  | {
      readonly kind: 'answer';
      readonly data: JsonRecord;
      readonly requestId: string;
      /** Our clock. */
      readonly sentAtMs: number;
    }
  /** `waitMs` is only known where TikTok says it. */
  | { readonly kind: 'throttled'; readonly waitMs: number | undefined }
  /** The token is not accepted (any more). */
  | { readonly kind: 'unauthorized'; readonly reason: string }
  | { readonly kind: 'wrong-clock'; readonly reason: string }
  | { readonly kind: 'wrong-cipher'; readonly reason: string }
  | { readonly kind: 'denied'; readonly reason: string; readonly remedy: string }
  /** Refused for a reason of the request's own; nothing was applied. */
  | { readonly kind: 'refused'; readonly code: number; readonly reason: string }
  | { readonly kind: 'not-sent'; readonly reason: string }
  | { readonly kind: 'unknown'; readonly reason: string };

export type ApiAnswer = Extract<ApiOutcome, { kind: 'answer' }>;

export const reauthorise =
  'Authorise the app for the shop again and put the new tokens into the configuration';

/** TikTok asks to repeat these; whether they did anything is not said. */
const transient = new Set([
  36009003, 36009007, 12001000, 12052109, 12052881, 10002014, 10002015, 10037002, 10037003, 10037004,
]);
const tooMany = 36009002;
/** A bag of parameter and authorisation errors that only the message tells apart; never the rate limit. */
const mixedBag = 36009004;
const expiredToken = new Set([105001, 105002]);
const missingCipher = 106013;

const denials: ReadonlyMap<number, string> = new Map([
  [105005, 'Add the missing scope to the app in Partner Center and authorise it for the shop again'],
  [106001, 'The signature is not accepted: check appKey and appSecret'],
  [36009033, "Add this machine's address to the app's IP allow list in Partner Center"],
  [10006402, 'Authorise the app for the shop again with every scope that the documentation lists'],
  [12019114, 'Authorise the app for the shop again with every scope that the documentation lists'],
  [12052700, 'The seller account is not active: open Seller Center and resolve what it asks for'],
  [12052704, 'The seller account is not known: authorise the app for the shop again'],
]);

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** An answer in TikTok's envelope {code, message, request_id, data}; HTTP may say 200 where the code says otherwise. */
export function outcomeOfAnswer(answer: RawAnswer, sentAtMs: number): ApiOutcome {
  const { status, headers } = answer;
  if (status === 429) return { kind: 'throttled', waitMs: retryAfterMs(headers['retry-after']) };
  const parsed = parseRawJson(answer.body);
  const envelope = parsed.kind === 'ok' && isRecord(parsed.value) ? parsed.value : undefined;
  const code = codeOf(envelope?.['code']);
  if (envelope === undefined || code === undefined) return outcomeOfStatus(status);
  if (code === 0) {
    if (status >= 400) return outcomeOfStatus(status);
    const data = isRecord(envelope['data']) ? envelope['data'] : {};
    return { kind: 'answer', data, requestId: textOf(envelope['request_id']) ?? '', sentAtMs };
  }
  const requestId = textOf(envelope['request_id']);
  const message = plain(envelope['message']);
  const reason = `${code} ${message}${requestId === undefined ? '' : ` (request ${plain(requestId)})`}`;
  if (code === tooMany) return { kind: 'throttled', waitMs: retryAfterMs(headers['retry-after']) };
  if (transient.has(code) || status >= 500) return { kind: 'unknown', reason };
  // Codes of the token have been added before; the status says what they are.
  if (expiredToken.has(code) || (status === 401 && !denials.has(code) && code !== mixedBag))
    return { kind: 'unauthorized', reason };
  if (code === missingCipher) return { kind: 'wrong-cipher', reason };
  if (code === mixedBag) return outcomeOfMixedBag(code, message, reason);
  const remedy = denials.get(code);
  if (remedy !== undefined) return { kind: 'denied', reason, remedy };
  return { kind: 'refused', code, reason };
}

function outcomeOfMixedBag(code: number, message: string, reason: string): ApiOutcome {
  if (/timestamp/i.test(message)) return { kind: 'wrong-clock', reason };
  if (/access.?token/i.test(message)) return { kind: 'unauthorized', reason };
  if (/shop.?cipher/i.test(message)) return { kind: 'wrong-cipher', reason };
  return { kind: 'refused', code, reason };
}

function outcomeOfStatus(status: number): ApiOutcome {
  const reason = `HTTP ${status}`;
  if (status === 401) return { kind: 'unauthorized', reason };
  if (status === 403) return { kind: 'denied', reason, remedy: reauthorise };
  if (status < 400 || status >= 500 || status === 408)
    return { kind: 'unknown', reason: `${reason}, unreadable` };
  return { kind: 'refused', code: 0, reason };
}

export function codeOf(value: unknown): number | undefined {
  const code = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value;
  return typeof code === 'number' && Number.isSafeInteger(code) ? code : undefined;
}

/** Messages may quote what was sent: long runs that could be a token, a cipher or a signature are cut out. */
export function plain(value: unknown): string {
  return (textOf(value) ?? '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\w.~+/=-]{24,}/g, '…')
    .slice(0, 300);
}

function retryAfterMs(header: string | undefined): number | undefined {
  const seconds = Number(header);
  return header !== undefined && seconds > 0 ? Math.min(seconds * 1_000, 300_000) : undefined;
}

/** The error that stands for an outcome which is no answer. */
export function failureOf(
  operation: string,
  outcome: Exclude<ApiOutcome, { kind: 'answer' }>,
): StockmeshError {
  const at = { platform, operation };
  switch (outcome.kind) {
    case 'throttled':
      return new StockmeshError('CONNECTOR_THROTTLED', { ...at, waitMs: outcome.waitMs ?? 1_000 });
    case 'unauthorized':
      return denied(operation, `a fresh access token is not accepted: ${outcome.reason}`, reauthorise);
    case 'wrong-clock':
      return denied(operation, outcome.reason, "Set this machine's clock (NTP): it is minutes off TikTok's");
    case 'wrong-cipher':
      return denied(operation, outcome.reason, 'Check that the shop id belongs to the authorisation');
    case 'denied':
      return denied(operation, outcome.reason, outcome.remedy);
    case 'refused':
      return new StockmeshError('CONNECTOR_REQUEST_REFUSED', { ...at, reason: outcome.reason });
    case 'not-sent':
    case 'unknown':
      break;
  }
  const isSent = outcome.kind === 'unknown';
  return new StockmeshError('CONNECTOR_UNREACHABLE', { ...at, reason: outcome.reason, isSent });
}

export function denied(operation: string, reason: string, remedy: string): StockmeshError {
  return new StockmeshError('CONNECTOR_ACCESS_DENIED', { platform, operation, reason, remedy });
}

export function unreadable(operation: string, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_ANSWER_INVALID', { platform, operation, reason });
}

export function stuck(operation: string, reason: string): StockmeshError {
  return new StockmeshError('CONNECTOR_WALK_STUCK', { platform, operation, reason });
}
