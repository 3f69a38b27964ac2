import { createHash } from 'node:crypto';
import { StockmeshError } from '../domain/errors.ts';
import { movementCodes } from '../domain/movement.ts';
import type {
  AdjustRequest,
  AdjustResult,
  ApplyCountResult,
  CountRequest,
  Ledger,
  TransferRequest,
} from './contract.ts';
import type { ScriptCaller } from './script-caller.ts';
import type { ScriptReply } from './script-reply.ts';

/** What the on-hand authority of a location says: counts as of a moment, and movements. */
export class CountCommands implements Pick<Ledger, 'applyCount' | 'adjust' | 'transfer'> {
  readonly #caller: ScriptCaller;

  constructor(caller: ScriptCaller) {
    this.#caller = caller;
  }

  async applyCount(count: CountRequest): Promise<ApplyCountResult> {
    requireWhole({ onHand: count.onHand, asOfMs: count.asOfMs });
    requireWhole({ pickLagMs: count.pickLagMs, skewMs: count.skewMs }, 0);
    const { operationId, ...content } = count;
    const reply = await this.#caller.call('apply-count', [
      operationId,
      fingerprintOf('count', content),
      count.sku,
      count.location,
      count.onHand,
      count.asOfMs,
      count.pickLagMs,
      count.skewMs,
      count.source,
      count.actor,
    ]);
    switch (reply.outcome) {
      case 'stale':
        return { kind: 'stale', appliedAsOfMs: Number(reply.fields[0]) };
      case 'ask-again':
        return {
          kind: 'ask-again',
          reason: reply.fields[0] === 'within-skew' ? 'within-skew' : 'older-than-ring',
        };
      case 'fingerprint-mismatch':
        return { kind: 'fingerprint-mismatch' };
      default: {
        const [seq, repeated, onHand, delta, closedShipping] = reply.fields.map(Number);
        return {
          kind: 'counted',
          seq: seq ?? 0,
          onHand: onHand ?? 0,
          delta: delta ?? 0,
          closedShipping: closedShipping ?? 0,
          repeated: repeated === 1,
        };
      }
    }
  }

  async adjust(request: AdjustRequest): Promise<AdjustResult> {
    requireWhole({ units: request.units });
    if (request.effectiveAtMs !== undefined) requireWhole({ effectiveAtMs: request.effectiveAtMs });
    const { operationId, ...content } = request;
    const reply = await this.#caller.call('adjust', [
      operationId,
      fingerprintOf('adjust', content),
      movementCodes[request.movement],
      request.sku,
      request.location,
      request.units,
      request.effectiveAtMs ?? '',
      request.reference,
      request.reason,
      request.actor,
    ]);
    return adjusted(reply);
  }

  async transfer(request: TransferRequest): Promise<AdjustResult> {
    requireWhole({ units: request.units }, 1);
    if (request.from === request.to) {
      throw new StockmeshError('LEDGER_REQUEST_INVALID', { problem: 'a transfer needs two locations' });
    }
    const { operationId, ...content } = request;
    const reply = await this.#caller.call('transfer', [
      operationId,
      fingerprintOf('transfer', content),
      request.sku,
      request.from,
      request.to,
      request.units,
      request.reference,
      request.actor,
    ]);
    return adjusted(reply);
  }
}

function adjusted(reply: ScriptReply): AdjustResult {
  if (reply.outcome === 'fingerprint-mismatch') return { kind: 'fingerprint-mismatch' };
  return { kind: 'adjusted', seq: Number(reply.fields[0]), repeated: reply.fields[1] === 1 };
}

/** Same operation id with other content is an error of the caller; the order of the fields is no difference. */
function fingerprintOf(command: string, content: object): string {
  const fields = Object.entries(content).filter(([, value]) => value !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([command, fields]))
    .digest('base64url')
    .slice(0, 22);
}

function requireWhole(fields: Readonly<Record<string, number>>, min: number = Number.MIN_SAFE_INTEGER): void {
  for (const [name, value] of Object.entries(fields)) {
    if (Number.isSafeInteger(value) && value >= min) continue;
    throw new StockmeshError('LEDGER_REQUEST_INVALID', { problem: `${name} ${value} is not a whole number` });
  }
}
