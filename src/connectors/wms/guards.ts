import { type CountGuards, defaultCountGuards } from '../../domain/count-guard.ts';
import type { Guards } from './options.ts';

/** What the ledger's side judges by; what only the connector can judge stays with it. */
export function guardsOf(guards: Guards = {}): CountGuards {
  return {
    minRows: guards.minRows ?? defaultCountGuards.minRows,
    maxRowDropRatio: guards.maxRowDropRatio ?? defaultCountGuards.maxRowDropRatio,
    maxZeroedRatio: guards.maxZeroedRatio ?? defaultCountGuards.maxZeroedRatio,
    minZeroedRows: guards.minZeroedRows ?? defaultCountGuards.minZeroedRows,
  };
}
