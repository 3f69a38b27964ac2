import type { ChannelId, Sku } from '../domain/ids.ts';
import type { CreditLedger, OpenCredit, ResolveCreditResult } from './contract.ts';
import { fingerprintOf } from './hold-commands.ts';
import { US } from './keys.ts';
import { checkOptionalText, checkText, checkWhole } from './request-checks.ts';
import type { ScriptCaller } from './script-caller.ts';

const dayMs = 86_400_000;
const maxCredits = 1_000;

export interface OrderRetention {
  readonly dropAfterMs: number;
  readonly compactAfterMs: number;
}

export const defaultOrderRetention: OrderRetention = { dropAfterMs: 400 * dayMs, compactAfterMs: 30 * dayMs };

/** Credits that wait for an order, and the retention of applied order state. */
export class CreditCommands implements CreditLedger {
  readonly #caller: ScriptCaller;
  readonly #retention: OrderRetention;
  readonly #nowMs: () => number;

  /** `nowMs`: the ledger server's clock. */
  constructor(caller: ScriptCaller, nowMs: () => number, retention: OrderRetention = defaultOrderRetention) {
    this.#caller = caller;
    this.#nowMs = nowMs;
    this.#retention = retention;
  }

  async openCredits(olderThanMs: number, limit: number = maxCredits): Promise<readonly OpenCredit[]> {
    const reply = await this.#caller.call('show-mesh', [
      'credits',
      Math.trunc(this.#nowMs() - olderThanMs),
      checkWhole('limit', limit, 1, maxCredits),
    ]);
    const credits: OpenCredit[] = [];
    for (let i = 0; i < reply.fields.length; i += 2) {
      const [order = '', sku = ''] = String(reply.fields[i]).split(US);
      // A channel id holds no colon, an order id may.
      const colon = order.indexOf(':');
      credits.push({
        channel: order.slice(0, colon) as ChannelId,
        orderId: order.slice(colon + 1),
        sku: sku as Sku,
        openSinceMs: Number(reply.fields[i + 1]),
      });
    }
    return credits;
  }

  async resolveCredit(request: Parameters<CreditLedger['resolveCredit']>[0]): Promise<ResolveCreditResult> {
    const content = [
      checkText('channel', request.channel),
      checkText('order id', request.orderId),
      checkText('sku', request.sku),
    ];
    const reply = await this.#caller.call('resolve-credit', [
      checkText('operation id', request.operationId),
      fingerprintOf(['resolve-credit', ...content]),
      ...content,
      checkOptionalText('actor', request.actor),
    ]);
    if (reply.outcome === 'fingerprint-mismatch') return { kind: 'fingerprint-mismatch' };
    return {
      kind: 'resolved',
      seq: Number(reply.fields[0]),
      repeated: reply.fields[1] === 1,
      units: Number(reply.fields[2]),
    };
  }

  async sweepOrders(limit: number): Promise<{ dropped: number; compacted: number }> {
    const { dropAfterMs, compactAfterMs } = this.#retention;
    const most = checkWhole('limit', limit, 1, 100);
    const reply = await this.#caller.call('sweep-orders', [dropAfterMs, compactAfterMs, most]);
    return { dropped: Number(reply.fields[0]), compacted: Number(reply.fields[1]) };
  }
}
