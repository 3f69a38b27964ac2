import { movementCodes } from '../domain/movement.ts';
import { maxUnits } from '../domain/quantity.ts';
import type {
  AdjustRequest,
  AdjustResult,
  ApplyCountResult,
  CountRequest,
  Ledger,
  TransferRequest,
} from './contract.ts';
import { fingerprintOf } from './hold-commands.ts';
import { checkOptionalText, checkText, checkWhole, invalid } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';
import type { ScriptReply } from './script-reply.ts';

const maxWaitMs = 366 * 86_400_000;

/** What the on-hand authority of a location says: counts as of a moment, and movements. */
export class CountCommands implements Pick<Ledger, 'applyCount' | 'adjust' | 'transfer'> {
  readonly #caller: ScriptCaller;

  constructor(caller: ScriptCaller) {
    this.#caller = caller;
  }

  async applyCount(count: CountRequest): Promise<ApplyCountResult> {
    const reply = await this.#operation('apply-count', count.operationId, count.actor, [
      checkText('sku', count.sku),
      checkText('location', count.location),
      checkWhole('onHand', count.onHand, -maxUnits, maxUnits),
      checkTime('asOfMs', count.asOfMs),
      checkWhole('pickLagMs', count.pickLagMs, 0, maxWaitMs),
      checkWhole('skewMs', count.skewMs, 0, maxWaitMs),
      checkOptionalText('source', count.source),
    ]);
    switch (reply.outcome) {
      case 'stale':
        return { kind: 'stale', appliedAsOfMs: Number(reply.fields[0]) };
      case 'ask-again':
        return { kind: 'ask-again', reason: reply.fields[0] as 'older-than-ring' | 'within-skew' };
      case 'fingerprint-mismatch':
        return { kind: 'fingerprint-mismatch' };
      default: {
        const [seq = 0, repeated, onHand = 0, delta = 0, closedShipping = 0] = reply.fields.map(Number);
        return { kind: 'counted', seq, onHand, delta, closedShipping, repeated: repeated === 1 };
      }
    }
  }

  async adjust(request: AdjustRequest): Promise<AdjustResult> {
    const { effectiveAtMs } = request;
    const reply = await this.#operation('adjust', request.operationId, request.actor, [
      movementCodes[request.movement],
      checkText('sku', request.sku),
      checkText('location', request.location),
      checkWhole('units', request.units, -maxUnits, maxUnits),
      effectiveAtMs === undefined ? '' : checkTime('effectiveAtMs', effectiveAtMs),
      checkOptionalText('reference', request.reference),
      checkOptionalText('reason', request.reason),
    ]);
    return readAdjusted(reply);
  }

  async transfer(request: TransferRequest): Promise<AdjustResult> {
    if (request.from === request.to) throw invalid('a transfer needs two locations');
    const reply = await this.#operation('transfer', request.operationId, request.actor, [
      checkText('sku', request.sku),
      checkText('location', request.from),
      checkText('location', request.to),
      checkWhole('units', request.units, 1, maxUnits),
      checkOptionalText('reference', request.reference),
    ]);
    return readAdjusted(reply);
  }

  /** Same operation id with other content is a mistake of the caller; who repeats it makes no difference. */
  #operation(
    command: string,
    operationId: string,
    actor: string,
    content: readonly (string | number)[],
  ): Promise<ScriptReply> {
    return this.#caller.call(command, [
      checkText('operation id', operationId),
      fingerprintOf([command, ...content]),
      ...content,
      checkOptionalText('actor', actor),
    ]);
  }
}

function readAdjusted(reply: ScriptReply): AdjustResult {
  if (reply.outcome === 'fingerprint-mismatch') return { kind: 'fingerprint-mismatch' };
  return { kind: 'adjusted', seq: Number(reply.fields[0]), repeated: reply.fields[1] === 1 };
}

function checkTime(what: string, ms: number): number {
  return checkWhole(what, ms, 0, maxUnits);
}
