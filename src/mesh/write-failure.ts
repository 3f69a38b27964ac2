import type { RowOutcome, WriteBatch, WriteResult } from '../connectors/connector.ts';
import { StockmeshError } from '../domain/errors.ts';

/** After a request that never reached the platform. */
const pauseMs = 500;
const deniedPauseMs = 30_000;

export interface WriteFailure {
  readonly result: WriteResult;
  readonly isPlatformAtFault: boolean;
}

/**
 * What a throwing write means for its rows. A connector's own errors mean that nothing was applied; anything unforeseen
 * may have happened after the request left.
 */
export function writeFailure(
  batch: WriteBatch,
  error: unknown,
  onAccessLost: (reason: string) => void,
): WriteFailure {
  if (!(error instanceof StockmeshError)) {
    const result = allRows(batch, { kind: 'unknown', reason: 'the connector failed' });
    return { result, isPlatformAtFault: true };
  }
  const after = (throttledForMs: number): WriteResult => ({
    ...allRows(batch, { kind: 'not-applied' }),
    throttledForMs,
  });
  switch (error.code) {
    case 'CONNECTOR_THROTTLED':
    case 'CONNECTOR_LIMIT_WAIT':
      return { result: after(Number(error.fields['waitMs'] ?? pauseMs)), isPlatformAtFault: false };
    case 'CONNECTOR_ACCESS_DENIED':
      onAccessLost(error.message);
      return { result: after(deniedPauseMs), isPlatformAtFault: true };
    case 'CONNECTOR_REQUEST_REFUSED': {
      const result = allRows(batch, { kind: 'rejected', reason: error.message, isPermanent: true });
      return { result, isPlatformAtFault: false };
    }
    case 'CONNECTOR_KEY_MISMATCH': {
      const result = allRows(batch, { kind: 'key-spent', reason: error.message });
      return { result, isPlatformAtFault: false };
    }
    default:
      return { result: after(pauseMs), isPlatformAtFault: true };
  }
}

export function allRows(batch: WriteBatch, outcome: RowOutcome): WriteResult {
  return { rows: batch.rows.map(() => outcome) };
}
