import { createServer } from 'node:http';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/load-config.ts';
import { SqsSource } from '../../src/connectors/amazon/sqs-source.ts';
import type {
  Connector,
  ListingRef,
  ParsedDelivery,
  PlatformOrder,
  WriteRow,
} from '../../src/connectors/connector.ts';
import { createConnector } from '../../src/daemon/connectors.ts';
import { barePorts } from '../support/bare-ports.ts';

/**
 * What stockmesh is measured against, as a process of its own like the daemon: the same connectors over the same wire, no
 * ledger, no limits, nothing durable or proven.
 *
 *   relay  each order is passed on at once: one request per other channel, product or SKU, with the number it has in memory
 *   jobs   the common design: each line becomes one BullMQ job per other channel, whose worker pushes the absolute number
 *
 * Arguments: relay | jobs, configuration file, Redis socket (jobs). Prints `ready` when it listens.
 */
const [kind = 'relay', configPath = '', redisPath = ''] = process.argv.slice(2);
const workersPerChannel = 8;
const config = loadConfig(configPath);
const log = pino({ level: 'silent' });

interface Rival {
  readonly id: string;
  readonly connector: Connector;
  /** SKU -> its listing. */
  readonly refs: Map<string, ListingRef>;
  /** What order lines call an item -> SKU. */
  readonly skus: Map<string, string>;
}

const units = new Map<string, number>();
const seenOrders = new Set<string>();
const rivals: Rival[] = [];

for (const channel of config.channels) {
  if (channel.platform === 'wms') continue;
  const connector = createConnector(channel, barePorts());
  const rival: Rival = { id: channel.id, connector, refs: new Map(), skus: new Map() };
  for await (const page of connector.readListings(null, AbortSignal.timeout(60_000))) {
    for (const { sku, ref, itemAliases, value, problems } of page.listings) {
      if (problems.includes('foreign-stock')) continue;
      rival.refs.set(sku, ref);
      for (const item of [ref.itemId, ...(itemAliases ?? [])]) rival.skus.set(item, sku);
      if (value !== null) units.set(sku, value);
    }
  }
  rivals.push(rival);
}

const jobs = kind === 'jobs' ? await openQueues() : undefined;

async function openQueues(): Promise<ReadonlyMap<string, Queue>> {
  const connection = new Redis(redisPath, { maxRetriesPerRequest: null });
  const queues = new Map<string, Queue>();
  for (const rival of rivals) {
    queues.set(rival.id, new Queue(rival.id, { connection }));
    const worker = new Worker<{ sku: string; from: number; to: number }>(
      rival.id,
      async ({ data: { sku, from, to } }) => {
        const ref = rival.refs.get(sku);
        if (ref !== undefined) await send(rival, [{ ref, from, to }]);
      },
      { connection, concurrency: workersPerChannel },
    );
    worker.on('error', () => undefined);
  }
  return queues;
}

async function send({ connector }: Rival, rows: readonly WriteRow[]): Promise<void> {
  const isDelta = connector.capabilities.writes === 'delta';
  const batch = {
    key: crypto.randomUUID(),
    kind: isDelta ? 'lower' : 'put',
    reference: '0-0',
    rows,
  } as const;
  await connector.write(batch, AbortSignal.timeout(20_000)).catch(() => undefined);
}

async function handle(rival: Rival, parsed: ParsedDelivery): Promise<void> {
  const hints = parsed.orderHints.filter((id) => !seenOrders.has(`${rival.id} ${id}`));
  const fetched =
    hints.length === 0 ? [] : (await rival.connector.fetchOrders(hints, AbortSignal.timeout(20_000))).orders;
  for (const order of [...parsed.orders, ...fetched]) passOn(rival, order);
}

function passOn(from: Rival, order: PlatformOrder): void {
  const key = `${from.id} ${order.orderId}`;
  if (seenOrders.has(key) || order.lines.length === 0) return;
  seenOrders.add(key);
  const changes = new Map<string, { readonly from: number; to: number }>();
  for (const line of order.lines) {
    const sku = (line.itemId === null ? undefined : from.skus.get(line.itemId)) ?? line.sku;
    const before = units.get(sku) ?? 0;
    const change = changes.get(sku) ?? { from: before, to: before };
    change.to = before - line.counters.ordered;
    units.set(sku, change.to);
    changes.set(sku, change);
  }
  for (const rival of rivals) if (rival !== from) tell(rival, changes);
}

function tell(
  rival: Rival,
  changes: ReadonlyMap<string, { readonly from: number; readonly to: number }>,
): void {
  if (jobs !== undefined) {
    const queue = jobs.get(rival.id);
    for (const [sku, { from, to }] of changes)
      if (rival.refs.has(sku)) void queue?.add('change', { sku, from, to }, { removeOnComplete: true });
    return;
  }
  const { lowerBatchSize } = rival.connector.capabilities;
  const batches = new Map<string, WriteRow[][]>();
  for (const [sku, { from, to }] of changes) {
    const ref = rival.refs.get(sku);
    if (ref === undefined) continue;
    const group = rival.connector.batchGroup?.(ref) ?? '';
    const ofGroup = batches.get(group) ?? [[]];
    let last = ofGroup.at(-1) ?? [];
    if (last.length >= lowerBatchSize) ofGroup.push((last = []));
    last.push({ ref, from, to: Math.max(0, to) });
    batches.set(group, ofGroup);
  }
  for (const rows of [...batches.values()].flat()) void send(rival, rows);
}

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const rival = rivals.find(({ id }) => request.url?.startsWith(`/${id}`) === true);
    if (rival === undefined) return void response.writeHead(404).end();
    const raw = Buffer.concat(parts);
    if (rival.connector.verifyWebhook(raw, request.headers).kind !== 'genuine')
      return void response.writeHead(401).end();
    response.writeHead(200).end();
    void handle(rival, rival.connector.parseWebhook(raw, request.headers)).catch(() => undefined);
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = server.address();
const port = typeof address === 'object' ? address?.port : 0;

for (const channel of config.channels) {
  const rival = rivals.find(({ id }) => id === channel.id);
  if (rival === undefined) continue;
  await rival.connector.subscribe(
    { callbackUrl: `http://127.0.0.1:${port}/${rival.id}` },
    AbortSignal.timeout(20_000),
  );
  if (channel.platform !== 'amazon' || channel.queue?.access === undefined) continue;
  const { url, arn, endpoint, access } = channel.queue;
  const source = new SqsSource({
    queueUrl: url,
    region: arn.split(':')[3] ?? '',
    endpoint,
    credentials: { accessKeyId: access.accessKeyId, secretAccessKey: access.secretAccessKey.reveal() },
    clock: { nowMs: () => Date.now() },
    log,
  });
  source.start(async ({ body, headers }) =>
    handle(rival, rival.connector.parseWebhook(Buffer.from(body), headers)).catch(() => undefined),
  );
}
process.stdout.write('ready\n');
process.on('SIGTERM', () => process.exit(0));
// Nobody is left to stop it.
process.on('disconnect', () => process.exit(0));
