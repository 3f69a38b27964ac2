import type { Operation } from '../operations.ts';
import type { SandboxSeller } from '../seller.ts';

/** One request that was found to belong to a seller and to be allowed. */
export interface Call {
  readonly seller: SandboxSeller;
  readonly operation: Operation;
  readonly path: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

export type Handler = (call: Call) => Reply;

export function ok(body: unknown, status = 200): Reply {
  return { status, body };
}

export function error(status: number, code: string, message: string, details = ''): Reply {
  return { status, body: { errors: [{ code, message, details }] } };
}

export function invalid(message: string): Reply {
  return error(400, 'InvalidInput', message);
}

export function listParameter(text: string | undefined): readonly string[] {
  return text === undefined || text === '' ? [] : text.split(',');
}
