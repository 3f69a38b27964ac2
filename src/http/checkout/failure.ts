import { type ErrorCode, StockmeshError } from '../../domain/errors.ts';
import { isHttpError, statusOf } from '../problem.ts';

/** Whatever was thrown while answering a request of a commerce protocol, before the protocol's own words for it. */
export interface Failure {
  readonly status: number;
  /** Ours, or one of the listener's. */
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterS: number | undefined;
  /** RFC 9535, where the body was wrong. */
  readonly path: string | undefined;
  readonly isDefect: boolean;
}

export function failureOf(thrown: unknown): Failure {
  const none = { retryAfterS: undefined, path: undefined, isDefect: false };
  if (thrown instanceof StockmeshError) {
    const code: ErrorCode = thrown.code;
    const status = statusOf[code];
    if (status !== undefined) {
      const afterS = (thrown.fields as Readonly<Record<string, unknown>>)['retryAfterS'];
      const retryAfterS = typeof afterS === 'number' ? afterS : status === 503 ? 1 : undefined;
      return { ...none, status, code, message: thrown.message, retryAfterS };
    }
  }
  const status = isHttpError(thrown) ? thrown.statusCode : 500;
  if (status === 413)
    return { ...none, status, code: 'HTTP_BODY_TOO_LARGE', message: 'The body is larger than it may be' };
  if (status === 415)
    return {
      ...none,
      status,
      code: 'HTTP_MEDIA_TYPE_UNSUPPORTED',
      message: 'The body must be application/json',
    };
  if (status >= 400 && status < 500) {
    const [issue] = issuesOf(thrown);
    const message = issue?.message ?? (thrown instanceof Error ? thrown.message : 'The request is not valid');
    return {
      ...none,
      status: 400,
      code: 'HTTP_REQUEST_INVALID',
      message: message.slice(0, 300),
      path: issue?.path,
    };
  }
  return { ...none, status: 500, code: 'INTERNAL_ERROR', message: 'Unexpected error', isDefect: true };
}

function issuesOf(
  thrown: unknown,
): readonly { readonly path: string | undefined; readonly message: string }[] {
  if (!(thrown instanceof Error) || !('validation' in thrown) || !Array.isArray(thrown.validation)) return [];
  // Only paths into the body are paths of the protocol.
  const isBody = !('validationContext' in thrown) || thrown.validationContext === 'body';
  const issues = thrown.validation as readonly {
    readonly instancePath?: string;
    readonly message?: string;
  }[];
  return issues.map(({ instancePath = '', message = '' }) => ({
    path: isBody ? jsonPathOf(instancePath.split('/').slice(1)) : undefined,
    message: `${instancePath.slice(1).replaceAll('/', '.')}: ${message}`,
  }));
}

/** `['line_items', '0', 'quantity']` -> `$.line_items[0].quantity` */
function jsonPathOf(steps: readonly string[]): string {
  return steps.reduce((path, step) => (/^\d+$/.test(step) ? `${path}[${step}]` : `${path}.${step}`), '$');
}
