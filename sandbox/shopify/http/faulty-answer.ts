import type { ServerResponse } from 'node:http';
import type { Fault, FaultKind } from '../faults.ts';
import type { SandboxShop } from '../shop.ts';
import { sendHtml, sendJson } from './body.ts';

const DEFAULT_DELAY_MS = 1_000;

export const pause = (shop: SandboxShop, delayMs: number | undefined): Promise<void> =>
  new Promise((resolve) => shop.clock.schedule(delayMs ?? DEFAULT_DELAY_MS, resolve));

type Strike = (response: ServerResponse, fault: Fault) => void;

const reset: Strike = (response) => response.socket?.resetAndDestroy();
const hang: Strike = () => {};

const BEFORE: Partial<Record<FaultKind, Strike>> = {
  reset,
  hang,
  html: (response, fault) => sendHtml(response, fault.status ?? 200),
  status: sendStatus,
  'fail-attempt': sendStatus,
};

const AFTER: Partial<Record<FaultKind, Strike>> = {
  'lose-response': reset,
  'hang-after': hang,
  'status-after': sendStatus,
};

/** Accidents that strike before anything is executed. True when the request is thereby answered (or never will be). */
export function strikeBefore(fault: Fault | null, response: ServerResponse): boolean {
  const strike = fault ? BEFORE[fault.kind] : undefined;
  if (fault && strike) strike(response, fault);
  return strike !== undefined;
}

/** Sends a finished answer, or what the accident leaves of it: everything has been applied by now. */
export async function sendAnswer(
  shop: SandboxShop,
  fault: Fault | null,
  response: ServerResponse,
  body: unknown,
): Promise<void> {
  const strike = fault ? AFTER[fault.kind] : undefined;
  if (fault && strike) {
    strike(response, fault);
    return;
  }
  if (fault?.kind === 'truncate') {
    const text = JSON.stringify(body);
    response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' });
    response.end(text.slice(0, Math.floor(text.length / 2)));
    return;
  }
  if (fault?.kind === 'slow-response') await pause(shop, fault.delayMs);
  if (!response.destroyed) sendJson(response, 200, body);
}

function sendStatus(response: ServerResponse, fault: Fault): void {
  const status = fault.status ?? 503;
  const headers =
    fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': fault.retryAfterSeconds.toFixed(1) };
  sendJson(response, status, { errors: STATUS_TEXTS[status] ?? 'Internal Server Error' }, headers);
}

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  423: 'Locked',
  429: 'Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};
