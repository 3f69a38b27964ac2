import { readScripts } from '../../src/ledger/script-loader.ts';
import { frozenClock } from './ledger-clock.ts';
import { type LedgerParts, ledgerParts } from './ledger-parts.ts';

const frozenScripts = readScripts(frozenClock);

/** Parts of a ledger for which no time passes but by `stepClock`. */
export function frozenLedgerParts(options: Parameters<typeof ledgerParts>[0] = {}): LedgerParts {
  return ledgerParts({ ...options, source: frozenScripts });
}
