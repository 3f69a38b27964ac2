import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** One way to the reservation service. */
export interface Door {
  readonly name: 'rest' | 'mcp' | 'acp' | 'ucp';
  reserve(lines: readonly object[], agentId: string, key: string): Promise<Answer>;
  act(action: 'extend' | 'commit' | 'release', holdId: string, key: string): Promise<Answer>;
}

/** Longer than a race of all buyers for one unit takes on a busy machine; every abandoned hold is waited out. */
export const ttlSeconds = 4;

export function restDoor(url: string): Door {
  const post = async (path: string, body: object, key: string): Promise<Answer> => {
    const response = await fetch(`${url}/inventory/v1/reservations${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return {
    name: 'rest',
    reserve: (lines, agentId, key) =>
      post('', { lines, agent_id: agentId, session_id: key, ttl_seconds: ttlSeconds }, key),
    act: (action, holdId, key) =>
      post(
        `/${holdId}/${action}`,
        action === 'extend' ? { ttl_seconds: ttlSeconds } : {},
        `${key}-${action}`,
      ),
  };
}

export async function mcpDoor(url: string): Promise<{ readonly door: Door; readonly client: Client }> {
  const client = new Client({ name: 'synthetic agents', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)));
  const call = async (name: string, args: Record<string, unknown>): Promise<Answer> => {
    const result = await client.callTool({ name, arguments: args });
    return {
      status: result.isError === true ? 400 : 200,
      body: (result.structuredContent ?? {}) as Record<string, unknown>,
    };
  };
  const door: Door = {
    name: 'mcp',
    reserve: (lines, agentId, key) =>
      call('reserve_stock', {
        lines,
        agent_id: agentId,
        session_id: key,
        ttl_seconds: ttlSeconds,
        idempotency_key: key,
      }),
    act: (action, holdId, key) =>
      call(action, {
        hold_id: holdId,
        idempotency_key: `${key}-${action}`,
        ...(action === 'extend' ? { ttl_seconds: ttlSeconds } : {}),
      }),
  };
  return { door, client };
}

interface ProtocolWords {
  readonly name: 'acp' | 'ucp';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  line(sku: string, quantity: number): object;
  readonly ready: string;
}

const acp: ProtocolWords = {
  name: 'acp',
  path: '/acp/checkout_sessions',
  headers: { 'api-version': '2026-04-17' },
  line: (id, quantity) => ({ id, quantity }),
  ready: 'ready_for_payment',
};
const ucp: ProtocolWords = {
  name: 'ucp',
  path: '/ucp/checkout-sessions',
  headers: { 'ucp-agent': 'profile="https://platform.example/profile"' },
  line: (id, quantity) => ({ item: { id }, quantity }),
  ready: 'ready_for_complete',
};

export const acpDoor = (url: string): Door => protocolDoor(url, acp);
export const ucpDoor = (url: string): Door => protocolDoor(url, ucp);

/** A checkout of a commerce protocol: ready is held, complete is commit, cancel is release, an update extends. */
function protocolDoor(url: string, words: ProtocolWords): Door {
  const asked = new Map<string, readonly object[]>();
  const send = async (method: string, path: string, body: object, key: string): Promise<Answer> => {
    const response = await fetch(`${url}${words.path}${path}`, {
      method,
      headers: { 'content-type': 'application/json', 'idempotency-key': key, ...words.headers },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return {
    name: words.name,
    async reserve(lines, _agentId, key) {
      const items = (lines as readonly { sku: string; quantity: number }[]).map(({ sku, quantity }) =>
        words.line(sku, quantity),
      );
      const { status, body } = await send('POST', '', { line_items: items }, key);
      const isDenied = (status === 201 || status === 200) && body['status'] !== words.ready;
      const outcome = body['status'] === words.ready ? 'held' : isDenied ? 'denied' : String(body['code']);
      if (typeof body['id'] === 'string') asked.set(body['id'], items);
      return { status, body: { ...body, outcome, hold_id: body['id'] } };
    },
    async act(action, id, key) {
      const items = asked.get(id) ?? [];
      const [method, path, body, done] = {
        extend: [
          words.name === 'acp' ? 'POST' : 'PUT',
          `/${id}`,
          { line_items: items },
          words.ready,
        ] as const,
        commit: ['POST', `/${id}/complete`, { order: { id: key } }, 'completed'] as const,
        release: ['POST', `/${id}/cancel`, {}, 'canceled'] as const,
      }[action];
      const { status, body: answer } = await send(method, path, body, `${key}-${action}`);
      const outcomes = { extend: 'held', commit: 'committed', release: 'released' } as const;
      const outcome = answer['status'] === done ? outcomes[action] : 'refused';
      return { status, body: { ...answer, outcome } };
    },
  };
}
