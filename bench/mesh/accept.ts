import { createHmac, randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import type { SandboxShop } from '../../sandbox/shopify/shop.ts';
import { closedLoop, type LoopResult } from '../support/closed-loop.ts';

/** About what an order of a few lines has as JSON. */
const bodyBytes = 4_096;

/**
 * Signed order webhooks, each another delivery, sent to the public listener as fast as it answers. An answer means that the
 * delivery is in the durable inbox. The orders have no lines, so that the inbox can be emptied without a ledger of
 * nonsense.
 */
export async function measureAccept(
  publicUrl: string,
  channel: string,
  shop: SandboxShop,
  connections: number,
  durationMs: number,
): Promise<LoopResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const url = new URL(`${publicUrl}/webhooks/shopify/${channel}`);
  const secret = shop.tokens.app.clientSecret;
  try {
    return await closedLoop({ callers: connections, durationMs }, (_caller, n) => {
      const nowIso = new Date().toISOString();
      const body = JSON.stringify({
        id: 9_000_000_000_000 + n,
        created_at: nowIso,
        updated_at: nowIso,
        source_name: 'web',
        line_items: [],
        note: 'x'.repeat(bodyBytes - 160),
      });
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'x-shopify-topic': 'orders/updated',
        'x-shopify-shop-domain': shop.domain,
        'x-shopify-webhook-id': randomUUID(),
        'x-shopify-hmac-sha256': createHmac('sha256', secret).update(body).digest('base64'),
      };
      return new Promise((resolve) => {
        const sent = request(url, { method: 'POST', agent, headers }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode === 200 ? 'ok' : 'refused'));
        });
        sent.on('error', () => resolve('gave-up'));
        sent.end(body);
      });
    });
  } finally {
    agent.destroy();
  }
}
