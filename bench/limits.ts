import { setTimeout as delay } from 'node:timers/promises';
import type { SyncRecord } from '../src/mesh/sync-journal.ts';
import type { HistoryRow } from '../src/reconcile/exports.ts';
import { SeededRandom } from '../sandbox/shopify/random.ts';
import { Shelves } from './mesh/load.ts';
import { openSetting } from './mesh/setting.ts';
import { exportedRows } from './support/exported-rows.ts';
import { printConditions, printResult, printTable, printVerdict } from './support/report.ts';

/**
 * Sale to shelf with the limits that the platforms publish, under more changes than Amazon takes, and whether a SKU that
 * is sold out ever waits behind one that is not. The rule: a write of a SKU that is not sold out, decided when the
 * sell-out stood in the ledger (the sequence it was computed from is not older), and more than `decideMs` after that,
 * may not have its answer before the zero has. Each such write of a channel that waited for a zero counts once
 * per zero. Ends with 0 when there are none and every number is right at the end.
 */
const skuCount = 200;
const scarceCount = 60;
const ordersPerS = 3;
const linesPerOrder = 6;
const loadMs = 25_000;
/** From the entry in the log to the publisher of each channel. */
const decideMs = 100;
/** Answers of requests that were sent together come so close to each other. */
const togetherMs = 50;

interface SoldOut {
  readonly sku: string;
  readonly channel: string;
}

const random = new SeededRandom(7);
const stock = new Map(
  Array.from({ length: skuCount }, (_none, index): [string, number] => [
    `S${index}`,
    index < scarceCount ? 2 + Math.floor(random.next() * 4) : 400,
  ]),
);
const skus = [...stock.keys()];
const setting = await openSetting('stockmesh', stock, 'published');
let failures = 0;
try {
  const { platforms } = setting;
  const shelves = new Shelves(platforms);
  printConditions([
    `one daemon, embedded Redis (appendfsync always), two Shopify shops (plus plan), Amazon, TikTok Shop, a warehouse, emulated with the limits they publish; ${skuCount} SKUs on all, ${scarceCount} of them with 2 to 5 units`,
    `${ordersPerS} orders/s of ${linesPerOrder} lines for ${loadMs / 1_000} s, in turn at each channel; Amazon takes 5 writes/s, TikTok starts at 2 products/s`,
  ]);
  const left = new Map(stock);
  const soldOut: SoldOut[] = [];
  const buy = (n: number): void => {
    const lines = Array.from({ length: linesPerOrder }, () => ({
      sku: skus[Math.floor(random.next() * skuCount)] ?? '',
      units: 1,
    }));
    const distinct = [...new Map(lines.map((line) => [line.sku, line])).values()];
    const channel = platforms.selling[n % platforms.selling.length];
    const before = new Map(distinct.map(({ sku }) => [sku, channel?.shown(sku) ?? 0]));
    shelves.buy(n, distinct);
    for (const { sku } of distinct) {
      const bought = (before.get(sku) ?? 0) - (channel?.shown(sku) ?? 0);
      const had = left.get(sku) ?? 0;
      left.set(sku, had - bought);
      if (had <= 0 || had - bought > 0) continue;
      for (const other of platforms.selling)
        if (other !== channel && other.shown(sku) > 0) soldOut.push({ sku, channel: other.id });
    }
  };
  const startedMs = performance.now();
  for (let n = 0; n < (loadMs / 1_000) * ordersPerS; n++) {
    const waitMs = startedMs + (n * 1_000) / ordersPerS - performance.now();
    if (waitMs > 0) await delay(waitMs);
    buy(n);
  }
  const lost = await shelves.quiet(90_000);
  await delay(1_000);
  const wrong = platforms.selling.flatMap((channel) =>
    skus.filter((sku) => Math.max(0, channel.shown(sku)) !== Math.max(0, left.get(sku) ?? 0)),
  ).length;

  const known = new Map<string, { readonly seq: number; readonly atMs: number }>();
  for (const row of await exportedRows<HistoryRow>(setting.privateUrl, 'history'))
    if (row.availableBefore > 0 && row.availableAfter <= 0)
      known.set(row.sku, { seq: seqOf(row.sequence), atMs: Date.parse(row.at) });
  const told = (await exportedRows<SyncRecord>(setting.privateUrl, 'sync')).filter(
    ({ kind, outcome }) => kind !== 'read-back' && (outcome === 'accepted' || outcome === 'confirmed'),
  );
  let zeroBehindNonZero = 0;
  let unknown = 0;
  const waits = new Map<string, number[]>(platforms.selling.map(({ id }) => [id, []]));
  for (const { sku, channel } of soldOut) {
    const knownAt = known.get(sku);
    const writes = told.filter((write) => write.channel === channel);
    const zero = writes.find(
      (write) => write.sku === sku && write.to <= 0 && seqOf(write.sequence) >= (knownAt?.seq ?? 0),
    );
    if (knownAt === undefined || zero === undefined) {
      // Its last units went at that channel itself meanwhile.
      unknown++;
      continue;
    }
    waits.get(channel)?.push(Math.max(0, zero.atMs - knownAt.atMs));
    const before = writes.filter(
      ({ to, sequence, atMs }) =>
        to > 0 &&
        seqOf(sequence) >= knownAt.seq &&
        atMs > knownAt.atMs + decideMs &&
        atMs < zero.atMs - togetherMs,
    );
    zeroBehindNonZero += before.length;
    for (const other of before.slice(0, 2))
      console.log(
        `     ${channel} ${sku}: known at ${knownAt.seq}, zero from ${zero.sequence} after ${zero.atMs - knownAt.atMs} ms; ${other.sku} to ${other.to} from ${other.sequence} after ${other.atMs - knownAt.atMs} ms`,
      );
  }
  const at = (times: readonly number[], share: number): number =>
    times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  printTable(
    ['channel', 'sale to shelf p50', 'p95', 'p99', 'sold out', 'known to zero p50', 'p95', 'max'],
    platforms.selling.map(({ id }) => {
      const { p50, p95, p99 } = shelves.clock.percentiles([id]);
      const zeros = waits.get(id) ?? [];
      return [id, p50, p95, p99, zeros.length, at(zeros, 0.5), at(zeros, 0.95), Math.max(0, ...zeros)];
    }),
  );
  const zeros = [...waits.values()].flat();
  console.log(
    `sold out with units still on another shelf: ${soldOut.length} (${unknown} of them went there by themselves)`,
  );
  console.log(
    'These are emulators that keep to published limits on shared cores: it says what the limits leave of the order, not what a real platform grants on a day.',
  );
  failures = zeroBehindNonZero + lost + wrong;
  printVerdict(
    'p95 from known to zero at the first shop: a machine busy with other work',
    at(waits.get('north') ?? [], 0.95),
    decideMs,
  );
  const figures: Record<string, number> = {};
  for (const { id } of platforms.selling) {
    const { p50, p95, p99 } = shelves.clock.percentiles([id]);
    Object.assign(figures, { [`${id}P50Ms`]: p50, [`${id}P95Ms`]: p95, [`${id}P99Ms`]: p99 });
    figures[`${id}ZeroP95Ms`] = at(waits.get(id) ?? [], 0.95);
  }
  printResult({
    bench: 'limits',
    ratios: {},
    counts: {
      zeroBehindNonZero,
      zeros: zeros.length,
      lost,
      wrong,
      violations: platforms.violations().length,
    },
    figures,
  });
} finally {
  await setting.stop();
}

function seqOf(sequence: string): number {
  return Number(sequence.split('-')[1]);
}

process.exitCode = failures === 0 ? 0 : 1;
