import type { ServerResponse } from 'node:http';
import { sendHtml, sendJson } from '../shopify/http/body.ts';
import type { Fault } from '../shopify/faults.ts';
import type { SandboxWarehouse } from './warehouse.ts';

const DEFAULT_DELAY_MS = 1_000;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

/** Sends an answer, or what the fault leaves of it. `compute` runs where the real platform would execute. */
export async function answerWith(
  warehouse: SandboxWarehouse,
  operation: string,
  response: ServerResponse,
  compute: () => Promise<Answer> | Answer,
): Promise<Answer | undefined> {
  const fault = warehouse.faults.draw(operation);
  if (fault && strikesBefore(fault, response)) return undefined;
  if (fault?.kind === 'slow') await pause(warehouse, fault.delayMs);
  const answer = await compute();
  if (fault?.kind === 'lose-response') response.socket?.resetAndDestroy();
  else if (fault?.kind === 'truncate') {
    const text = JSON.stringify(answer.body);
    response.writeHead(answer.status, { 'Content-Type': 'application/json' });
    response.end(text.slice(0, Math.floor(text.length / 2)));
  } else if (fault?.kind !== 'hang-after') {
    sendJson(response, answer.status, answer.body, answer.headers ?? {});
  }
  return answer;
}

function strikesBefore(fault: Fault, response: ServerResponse): boolean {
  if (fault.kind === 'hang') return true;
  if (fault.kind === 'reset') response.socket?.resetAndDestroy();
  else if (fault.kind === 'html') sendHtml(response, fault.status ?? 200);
  else if (fault.kind === 'status' || fault.kind === 'fail-attempt') {
    sendJson(response, fault.status ?? 503, { message: 'Service Unavailable' });
  } else if (fault.kind === 'throttled') {
    const wait = String(fault.retryAfterSeconds ?? 1);
    sendJson(response, 429, { message: 'Too many requests' }, { 'Retry-After': wait, 'x-retry-after': wait });
  } else return false;
  return true;
}

function pause(warehouse: SandboxWarehouse, delayMs: number | undefined): Promise<void> {
  return new Promise((resolve) => warehouse.clock.schedule(delayMs ?? DEFAULT_DELAY_MS, resolve));
}
