import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { receive, storedLevel } from '../support/stock.ts';
import { ReservationRig } from './support/reservation-rig.ts';

failOnLeakedConnections();

let rig: ReservationRig;
const clients: Client[] = [];
beforeEach(async () => {
  rig = await ReservationRig.start();
  await receive(rig.parts, 'CUP', 100);
  await expect
    .poll(async () => (await rig.call('GET', '/inventory/v1/availability?sku=CUP')).body)
    .toMatchObject({ items: [{ available: 100, source: 'copy' }] });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await rig.close();
});

async function connect(headers: Readonly<Record<string, string>> = {}): Promise<Client> {
  const client = new Client({ name: 'test', version: '0' });
  const transport = new StreamableHTTPClientTransport(new URL(`${rig.url}/mcp`), {
    requestInit: { headers },
  });
  await client.connect(transport);
  clients.push(client);
  return client;
}

interface Called {
  readonly isError: boolean;
  readonly body: Readonly<Record<string, unknown>>;
}

async function call(client: Client, name: string, args: Record<string, unknown>): Promise<Called> {
  const result = await client.callTool({ name, arguments: args });
  return {
    isError: result.isError === true,
    body: (result.structuredContent ?? {}) as Record<string, unknown>,
  };
}

describe('refusals', () => {
  test('a foreign token does not get as far as the protocol', async () => {
    await expect(connect({ authorization: 'Bearer smk_nobody_nothing' })).rejects.toThrow(/401|API key/);
  });

  test('a key without the scope may look and not take', async () => {
    const client = await connect(await rig.key({ class: 'agent', agentId: 'a-1', scopes: ['availability'] }));
    expect((await call(client, 'check_availability', { skus: ['CUP'] })).isError).toBe(false);
    const { isError, body } = await call(client, 'reserve_stock', { lines: [{ sku: 'CUP', quantity: 1 }] });
    expect({ isError, code: body['code'] }).toEqual({ isError: true, code: 'HTTP_FORBIDDEN' });
    expect((await storedLevel(rig.parts, 'CUP')).reserved).toBe(0);
  });

  test.each([
    { lines: [] },
    { lines: [{ sku: 'CUP', quantity: 0 }] },
    { lines: [{ sku: 'CUP', quantity: '1' }] },
    { lines: [{ sku: 'CUP\u001f', quantity: 1 }] },
    { lines: [{ sku: 'CUP', quantity: 1 }], ttl_seconds: 1e9 },
    {},
  ])('%j reserves nothing', async (args) => {
    const client = await connect();
    const result = await client.callTool({ name: 'reserve_stock', arguments: args });
    expect(result.isError).toBe(true);
    expect((await storedLevel(rig.parts, 'CUP')).reserved).toBe(0);
  });

  test('there is no stream to hold open and no session to end', async () => {
    for (const method of ['GET', 'DELETE']) expect((await rig.call(method, '/mcp')).status).toBe(405);
    expect((await rig.call('POST', '/mcp', 'nonsense')).status).toBe(400);
  });
});

test('the tools are those of the documentation, each with a schema', async () => {
  const { tools } = await (await connect()).listTools();
  expect(tools.map(({ name }) => name).toSorted()).toEqual([
    'change',
    'check_availability',
    'commit',
    'explain_decision',
    'extend',
    'release',
    'reserve_stock',
  ]);
  for (const { inputSchema, description } of tools) {
    expect(Object.keys(inputSchema.properties ?? {}).length).toBeGreaterThan(0);
    expect(description).not.toBe('');
  }
});

test('an agent looks, reserves, extends, buys and asks why; its keys and limits are those of REST', async () => {
  const key = await rig.key({ class: 'agent', agentId: 'a-1' });
  const client = await connect(key);
  const looked = await call(client, 'check_availability', { skus: ['CUP'], fresh: true });
  expect(looked.body).toMatchObject({ items: [{ sku: 'CUP', available: 90, status: 'in_stock' }] });
  expect(looked.body['receipt']).toBeDefined();

  const args = { lines: [{ sku: 'CUP', quantity: 2 }], ttl_seconds: 60, idempotency_key: 'k-1' };
  const held = await call(client, 'reserve_stock', args);
  expect(held.body).toMatchObject({ outcome: 'held', agent_id: 'a-1' });
  const again = await call(client, 'reserve_stock', args);
  expect(again.body['hold_id']).toBe(held.body['hold_id']);
  expect((await storedLevel(rig.parts, 'CUP')).reserved).toBe(2);
  const other = await call(client, 'reserve_stock', { ...args, lines: [{ sku: 'CUP', quantity: 3 }] });
  expect(other).toMatchObject({ isError: true, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });

  const denied = await call(client, 'reserve_stock', { lines: [{ sku: 'CUP', quantity: 5 }] });
  expect(denied).toMatchObject({ isError: false, body: { outcome: 'denied', code: 'AGENT_LIMIT' } });

  const firstId = String(held.body['hold_id']);
  const tooMuch = { hold_id: firstId, lines: [{ sku: 'CUP', quantity: 6 }] };
  expect(await call(client, 'change', tooMuch)).toMatchObject({
    isError: false,
    body: { outcome: 'denied', code: 'AGENT_LIMIT' },
  });
  expect((await call(client, 'change', { hold_id: firstId, lines: [] })).isError).toBe(true);
  expect((await storedLevel(rig.parts, 'CUP')).reserved).toBe(2);
  const more = { hold_id: firstId, lines: [{ sku: 'CUP', quantity: 3 }], idempotency_key: 'k-2' };
  const changed = await call(client, 'change', more);
  expect(changed.body).toMatchObject({ outcome: 'held', lines: [{ sku: 'CUP', quantity: 3 }] });
  expect((await call(client, 'change', more)).body['hold_id']).toBe(changed.body['hold_id']);
  expect((await storedLevel(rig.parts, 'CUP')).reserved).toBe(3);
  // The first hold ended with its change: to give it back moves nothing.
  expect((await call(client, 'release', { hold_id: firstId })).body).toMatchObject({ was_repeated: true });
  expect((await storedLevel(rig.parts, 'CUP')).reserved).toBe(3);

  const holdId = String(changed.body['hold_id']);
  expect((await call(client, 'extend', { hold_id: holdId, ttl_seconds: 120 })).body).toMatchObject({
    outcome: 'held',
  });
  const bought = await call(client, 'commit', {
    hold_id: holdId,
    order: { channel: 'shop-a', order_id: '7' },
  });
  expect(bought.body).toMatchObject({ outcome: 'committed', order: { channel: 'shop-a', order_id: '7' } });
  expect((await call(client, 'release', { hold_id: holdId })).body).toMatchObject({
    outcome: 'refused',
    code: 'HOLD_ENDED',
  });
  const why = await call(client, 'explain_decision', { hold_id: holdId });
  expect((why.body['summary'] as string[]).length).toBeGreaterThan(0);
  // REST shows the same hold to the same key, and to no other.
  const path = `/inventory/v1/reservations/${holdId}`;
  expect((await rig.call('GET', path, undefined, key)).body).toMatchObject({ state: 'committed' });
  const stranger = await rig.key({ class: 'agent', agentId: 'a-2' });
  expect((await rig.call('GET', path, undefined, stranger)).status).toBe(404);
});
