import { fastify } from 'fastify';
import { Redis } from 'ioredis';

/**
 * The limit to hold the daemon against, in a process of its own: a Fastify route that parses a body, calls the least
 * script that takes a unit and logs it, and answers JSON. No keys, no holds, no idempotency, no audit. `path port`.
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
  return { sku, seq };
});
app.get('/availability', async () => ({
  items: [{ sku: 'HOT', available: 1_000_000, status: 'in_stock' }],
  sequence: '1-1',
}));
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
await app.listen({ host: '127.0.0.1', port: Number(port) });
process.send?.('ready');
