import type { ServerResponse } from 'node:http';
import { sendHtml, sendJson } from '../shopify/http/body.ts';
import type { Fault } from './faults.ts';
import type { SandboxTiktokShop } from './shop.ts';

const DEFAULT_DELAY_MS = 1_000;

export const pause = (shop: SandboxTiktokShop, delayMs: number | undefined): Promise<void> =>
  new Promise((resolve) => void shop.clock.schedule(delayMs ?? DEFAULT_DELAY_MS, resolve));

/** Accidents before anything is executed. True when the request is thereby answered, or never will be. */
export function strikeBefore(fault: Fault | null, response: ServerResponse, requestId: string): boolean {
  switch (fault?.kind) {
    case 'reset':
      response.socket?.resetAndDestroy();
      return true;
    case 'hang':
      return true;
    case 'html':
      sendHtml(response, fault.status ?? 200);
      return true;
    case 'status':
      sendJson(response, fault.status ?? 503, '', retryAfter(fault));
      return true;
    case 'code': {
      const { code = 36009003, message = 'Internal error. Please try again.', status = 200 } = fault;
      sendJson(response, status, { code, message, request_id: requestId, data: {} });
      return true;
    }
    case 'throttled': {
      const body = { code: 36009002, message: 'too many requests', request_id: requestId };
      sendJson(response, fault.status ?? 429, body, retryAfter(fault));
      return true;
    }
    case 'slow':
    case 'lose-write':
    case 'lose-response':
    case 'hang-after':
    case 'status-after':
    case 'truncate':
    case 'slow-response':
    case undefined:
      return false;
  }
}

/** Sends a finished answer, or what the accident leaves of it: everything has been applied by now. */
export async function sendAnswer(
  shop: SandboxTiktokShop,
  fault: Fault | null,
  response: ServerResponse,
  body: unknown,
): Promise<void> {
  if (fault?.kind === 'hang-after') return;
  if (fault?.kind === 'lose-response') {
    response.socket?.resetAndDestroy();
  } else if (fault?.kind === 'status-after') {
    sendJson(response, fault.status ?? 503, '');
  } else if (fault?.kind === 'truncate') {
    const text = JSON.stringify(body);
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(text.slice(0, Math.floor(text.length / 2)));
  } else {
    if (fault?.kind === 'slow-response') await pause(shop, fault.delayMs);
    if (!response.destroyed) sendJson(response, 200, body);
  }
}

function retryAfter(fault: Fault): Record<string, string> {
  return fault.retryAfterS === undefined ? {} : { 'Retry-After': String(fault.retryAfterS) };
}
