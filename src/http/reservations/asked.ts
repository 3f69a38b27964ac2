import { StockmeshError } from '../../domain/errors.ts';
import type { ChannelId, Sku } from '../../domain/ids.ts';
import type { Caller } from '../api/caller.ts';
import { type AskedStage, ledgerAgent } from './hold-id.ts';
import type { ReservationParts } from './parts.ts';
import type { ReserveBody } from './requests.ts';
import type { StageTtl } from './settings.ts';
import type { BuyerClass } from './stock-view.ts';

export interface Asked {
  readonly buyer: BuyerClass;
  /** As the ledger names it; empty: no agent. */
  readonly agent: string;
  readonly session: string;
  readonly stage: AskedStage;
  readonly ttlMs: number;
  readonly waitMs: number;
  readonly settlesOn: ChannelId | undefined;
  /** As asked, bundles not taken apart. */
  readonly lines: readonly { readonly sku: Sku; readonly quantity: number }[];
}

/** Which agent is meant; refuses one that the key does not stand for. */
export function agentOf(caller: Caller, asked: string | undefined): string {
  if (caller.agentId !== undefined && asked !== undefined && asked !== caller.agentId)
    throw new StockmeshError('HTTP_FORBIDDEN', { scope: `agent ${asked}` });
  const agentId = asked ?? caller.agentId;
  if (agentId !== undefined) return ledgerAgent(caller, agentId);
  if (caller.class === 'agent')
    throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: 'agent_id: needed, the key stands for many' });
  return '';
}

/** Milliseconds; refuses more than the stage allows. */
export function ttlOf(name: string, { defaultTtlMs, maxTtlMs }: StageTtl, asked: number | undefined): number {
  if (asked === undefined) return defaultTtlMs;
  if (asked * 1_000 <= maxTtlMs) return asked * 1_000;
  throw new StockmeshError('HTTP_REQUEST_INVALID', {
    reason: `ttl_seconds: at most ${Math.floor(maxTtlMs / 1_000)} for ${name}`,
  });
}

export function readAsked(parts: ReservationParts, caller: Caller, body: ReserveBody): Asked {
  const { settings, channels } = parts;
  const agent = agentOf(caller, body.agent_id);
  const stage = body.stage ?? (agent === '' ? 'checkout' : 'intent');
  if (body.settles_on !== undefined && !channels.has(body.settles_on))
    throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: 'settles_on: no such channel' });
  const lines = 'lines' in body ? body.lines : [{ sku: body.sku, quantity: body.quantity }];
  return {
    buyer: agent === '' ? 'checkout' : 'agent',
    agent,
    session: body.session_id ?? 'default',
    stage,
    ttlMs: ttlOf(`the stage ${stage}`, settings.stages[stage], body.ttl_seconds),
    waitMs: Math.min((body.wait_seconds ?? 0) * 1_000, settings.queue.maxWaitMs),
    settlesOn: body.settles_on as ChannelId | undefined,
    lines: lines.map(({ sku, quantity }) => ({ sku: sku as Sku, quantity })),
  };
}
