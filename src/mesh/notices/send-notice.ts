import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { create, isAxiosError } from 'axios';
import type { BookedNotice } from '../../ledger/notice-commands.ts';
import type { Endpoint } from './endpoint.ts';
import { standardKey, webhookHeaders } from '../standard-webhooks.ts';

export type SendResult =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly reason: string; readonly retryAfterMs: number };

const maxAnswerBytes = 65_536;
const maxRetryAfterMs = 3_600_000;

/** Sends notices to one endpoint. */
export interface NoticeSender {
  send(notice: BookedNotice, nowMs: number): Promise<SendResult>;
  close(): void;
}

/**
 * The address is the configuration's alone: no redirect is followed, and no proxy of the environment sees the request.
 * Only a 2xx is an acceptance; what the answer says is thrown away unread.
 */
export function createNoticeSender(endpoint: Endpoint, timeoutMs: number, version: string): NoticeSender {
  const agentOptions = { keepAlive: true, maxSockets: 8, maxFreeSockets: 2 };
  const httpAgent = new HttpAgent(agentOptions);
  const httpsAgent = new HttpsAgent(agentOptions);
  const client = create({
    httpAgent,
    httpsAgent,
    timeout: timeoutMs,
    maxRedirects: 0,
    maxContentLength: maxAnswerBytes,
    proxy: false,
    responseType: 'arraybuffer',
    validateStatus: () => true,
    transformRequest: [],
    transformResponse: [],
  });
  return {
    async send(notice, nowMs) {
      try {
        const response = await client.request<unknown>({
          method: 'POST',
          url: endpoint.url,
          headers: {
            'content-type': 'application/json',
            'user-agent': `stockmesh/${version}`,
            ...webhookHeaders(notice, endpoint.secrets.map(standardKey), nowMs),
          },
          data: notice.body,
          // axios's own time-out does not cover a connection that is never accepted.
          signal: AbortSignal.timeout(timeoutMs),
        });
        return resultOf(response.status, String(response.headers['retry-after'] ?? ''));
      } catch (error) {
        const code = isAxiosError(error) ? error.code : undefined;
        return {
          kind: 'failed',
          reason: code ?? (error instanceof Error ? error.name : 'unknown'),
          retryAfterMs: 0,
        };
      }
    },
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}

function resultOf(status: number, retryAfter: string): SendResult {
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  if (status === 410) return { kind: 'gone' };
  const seconds = /^\d{1,7}$/.test(retryAfter) ? Number(retryAfter) : 0;
  return {
    kind: 'failed',
    reason: `HTTP ${status}`,
    retryAfterMs: Math.min(seconds * 1_000, maxRetryAfterMs),
  };
}
