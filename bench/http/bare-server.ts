import { fastify } from 'fastify';
import { Redis } from 'ioredis';

/**
 * The limit to hold the daemon against, in a process of its own: Fastify as it comes, with a route that parses the same
 * body, calls the least script that takes a unit and logs it, and answers JSON of the same size as the daemon's; and one
 * that reads the same query and answers the same JSON as the daemon's availability. No validation, no keys, no holds, no
 * idempotency, no receipts, no audit, no headers but Fastify's. `path port`.
 */
const [path = '', port = '0'] = process.argv.slice(2);
const script = `
local left = redis.call('HGET', KEYS[1], 'o')
if tonumber(left) < 1 then return 0 end
redis.call('HINCRBY', KEYS[1], 'o', -1)
local seq = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[3], seq .. '-0', 's', KEYS[1], 'e', '1')
return seq`;
const redis = new Redis({ path });
const sha = String(await redis.script('LOAD', script));
await redis.hset('bench:{b}:HOT', 'o', 1_000_000_000);
const app = fastify({ logger: false });
app.post('/reserve', async (request, reply) => {
  const { sku } = request.body as { readonly sku: string };
  const seq = await redis.evalsha(sha, 3, `bench:{b}:${sku}`, 'bench:{b}:seq', 'bench:{b}:log');
  reply.code(seq === 0 ? 409 : 201);
  return {
    outcome: 'held',
    hold_id: 'local.c0123456789abcdefghijklmn',
    state: 'held',
    lines: [{ sku, quantity: 1, locations: [{ location: 'main', quantity: 1 }] }],
    agent_id: null,
    settles_on: null,
    expires_at: '2026-01-01T00:00:00.000Z',
    expires_in_ms: 300_000,
    sequence: `1234567890-${String(seq)}`,
    data_age_ms: 0,
    decision_id: '01234567.abcd',
  };
});
app.get('/availability', async (request) => {
  const { sku } = request.query as { readonly sku: string };
  return {
    items: [
      {
        sku,
        available: 1_000_000,
        status: 'in_stock',
        source: 'copy',
        policy: null,
        age_ms: 12,
        backorder: null,
        pace: 'proceed',
      },
    ],
    sequence: '1234567890-123456',
    as_of: '2026-01-01T00:00:00.000Z',
    age_ms: 12,
    max_age_ms: 1_000,
    decision_id: null,
  };
});
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
await app.listen({ host: '127.0.0.1', port: Number(port) });
process.send?.('ready');
