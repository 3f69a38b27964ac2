import type { ServerResponse } from 'node:http';
import type { Fault, FaultKind } from '../faults.ts';
import type { SandboxShop } from '../shop.ts';
import { dateOf, sendHtml, sendJson } from './body.ts';

const DEFAULT_DELAY_MS = 1_000;

export const pause = (shop: SandboxShop, delayMs: number | undefined): Promise<void> =>
  new Promise((resolve) => shop.clock.schedule(delayMs ?? DEFAULT_DELAY_MS, resolve));

type Strike = (response: ServerResponse, fault: Fault, date: Record<string, string>) => void;

const reset: Strike = (response) => response.socket?.resetAndDestroy();
const hang: Strike = () => {};

const BEFORE: Partial<Record<FaultKind, Strike>> = {
  reset,
  hang,
  html: (response, fault, date) => sendHtml(response, fault.status ?? 200, date),
  status: sendStatus,
  'fail-attempt': sendStatus,
};

const AFTER: Partial<Record<FaultKind, Strike>> = {
  'lose-response': reset,
  'hang-after': hang,
  'status-after': sendStatus,
};

/** Accidents that strike before anything is executed. True when the request is thereby answered (or never will be). */
export function strikeBefore(shop: SandboxShop, fault: Fault | null, response: ServerResponse): boolean {
  const strike = fault ? BEFORE[fault.kind] : undefined;
  if (fault && strike) strike(response, fault, dateOf(shop.clock));
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
    strike(response, fault, dateOf(shop.clock));
    return;
  }
  if (fault?.kind === 'truncate') {
    const text = JSON.stringify(body);
    const headers = { 'Content-Type': 'application/json; charset=utf-8', ...dateOf(shop.clock) };
    response.writeHead(200, headers);
    response.end(text.slice(0, Math.floor(text.length / 2)));
    return;
  }
  if (fault?.kind === 'slow-response') await pause(shop, fault.delayMs);
  if (!response.destroyed) sendJson(response, 200, body, dateOf(shop.clock));
}

function sendStatus(response: ServerResponse, fault: Fault, date: Record<string, string>): void {
  const status = fault.status ?? 503;
  const wait =
    fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': fault.retryAfterSeconds.toFixed(1) };
  const body = { errors: STATUS_TEXTS[status] ?? 'Internal Server Error' };
  sendJson(response, status, body, { ...date, ...wait });
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
