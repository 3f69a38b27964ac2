import { StockmeshError } from '../domain/errors.ts';

/** A script's answer: outcome, sequence after the call, the server's wall clock, then the script's own fields. */
export interface ScriptReply {
  readonly outcome: string;
  readonly seq: number;
  readonly serverMs: number;
  readonly fields: readonly unknown[];
}

export function readReply(command: string, reply: unknown): ScriptReply {
  if (!Array.isArray(reply) || typeof reply[0] !== 'string') {
    throw new StockmeshError('LEDGER_SCRIPT_FAILED', { command, reason: 'reply is not an array' });
  }
  return { outcome: reply[0], seq: Number(reply[1]), serverMs: Number(reply[2]), fields: reply.slice(3) };
}

/** What a rejected call means for its caller. */
export type Failure =
  | { readonly kind: 'lost-script' }
  /** Nothing was applied; the same call may work a moment later. */
  | { readonly kind: 'wait'; readonly reason: string; readonly reconnect: boolean }
  | { readonly kind: 'final'; readonly error: StockmeshError }
  /** The connection broke: the call may or may not have been applied. */
  | { readonly kind: 'unknown'; readonly reason: string };

const waitCodes = new Set(['LOADING', 'BUSY', 'MISCONF', 'NOREPLICAS', 'TRYAGAIN', 'CLUSTERDOWN']);
/** The connection leads to a server that is no longer the primary. */
const elsewhereCodes = new Set(['READONLY', 'MASTERDOWN', 'MOVED', 'UNBLOCKED']);
const accessCodes = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM']);
/** Redis 7.0 says it in words where a script does what its user may not; later servers answer NOPERM. */
const notAllowedInScript = /^ERR The user executing the script can't /;

export function readFailure(command: string, error: unknown): Failure {
  if (error instanceof StockmeshError) return { kind: 'final', error };
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Error) || error.name !== 'ReplyError') return { kind: 'unknown', reason: message };
  const code = message.split(' ', 1)[0] ?? '';
  if (code === 'NOSCRIPT') return { kind: 'lost-script' };
  if (waitCodes.has(code)) return { kind: 'wait', reason: message, reconnect: false };
  if (elsewhereCodes.has(code)) return { kind: 'wait', reason: message, reconnect: true };
  if (code === 'OOM') return final('LEDGER_FULL', { command }, error);
  if (accessCodes.has(code) || notAllowedInScript.test(message)) {
    const reason =
      code === 'ERR' ? `the user lacks rights (docs/operations.md lists them): ${message}` : code;
    return final('REDIS_ACCESS_DENIED', { address: 'the ledger', reason }, error);
  }
  return final('LEDGER_SCRIPT_FAILED', { command, reason: message }, error);
}

function final(
  code: 'LEDGER_FULL' | 'REDIS_ACCESS_DENIED' | 'LEDGER_SCRIPT_FAILED',
  fields: { command: string; reason: string } | { command: string } | { address: string; reason: string },
  cause: Error,
): Failure {
  const all = { command: '', reason: '', address: '', ...fields };
  return { kind: 'final', error: new StockmeshError(code, all, { cause }) };
}
