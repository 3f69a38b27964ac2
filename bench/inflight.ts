import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../sandbox/shopify/random.ts';
import { type ExposureOutcome, compareExposure, isSame } from './mesh/exposure-check.ts';
import { openSetting } from './mesh/setting.ts';
import { type PlatformCount, TrueStock } from './mesh/true-stock.ts';

/**
 * In-flight safety, through the real daemon: buyers hit all channels while pushes and polls are delayed, lost, doubled and
 * reordered and writes land late. `--naive` lets the bare relay (absolute numbers, nothing proven) play the same: it has
 * to fail. Exit code 0: every listing ended right, no write of ours put sold stock back beyond what the platform's own
 * exposure explains (nothing at all on Shopify), and what the daemon computes of that exposure is what the emulators count.
 * With `--naive` exit code 0 means that it failed.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '20' },
    naive: { type: 'boolean', default: false },
  },
});
const skuCount = 24;
const agreeWithinMs = 90_000;
/** The oldest read that a write of an absolute platform may stem from, and the longest that its apply takes here. */
const exposureMs = 30_000 + 5_000;
/** The longest that a request and its apply take here: an older write may land that long after a newer one. */
const lateMs = 2_500;

interface Outcome {
  readonly seed: number;
  readonly sales: number;
  readonly oversold: number;
  readonly wrongListings: number;
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, PlatformCount>>;
  /** Units sold between a reading and the apply of a write that stems from it; the naive design tells of no readings. */
  readonly exposure: Readonly<Record<string, ExposureOutcome>>;
}

async function play(seed: number): Promise<Outcome> {
  const random = new SeededRandom(seed);
  const stock = new Map(
    Array.from({ length: skuCount }, (_none, index): [string, number] => [
      `SKU-${index}`,
      10 + Math.floor(random.next() * 30),
    ]),
  );
  const setting = await openSetting(values.naive ? 'relay' : 'stockmesh', stock, 'none');
  try {
    const { platforms } = setting;
    const truth = new TrueStock(platforms, stock, { exposureMs, lateMs });
    for (const shop of platforms.shopify.shops)
      shop.setWebhookBehaviour({
        delayMs: { min: 0, max: 1_500 },
        duplicateProbability: 0.15,
        lossProbability: 0.2,
      });
    platforms.tiktok.shop.setWebhookBehaviour({
      delayMs: { min: 0, max: 1_500 },
      duplicateProbability: 0.15,
      lossProbability: 0.2,
    });
    Object.assign(platforms.tiktok.shop.settings, { applyDelayMs: { min: 0, max: 250 } });
    Object.assign(platforms.amazon.seller.settings, {
      applyDelayMs: { min: 50, max: 1_200 },
      notificationDelayMs: { min: 0, max: 1_500 },
      notificationDuplicateRate: 0.15,
      notificationDropRate: 0.2,
    });
    const exposures = new Map([
      ['amazon', platforms.amazon.exposure],
      ['tiktok', platforms.tiktok.exposure],
    ]);
    const skus = [...stock.keys()];
    const untilMs = performance.now() + Number(values.seconds) * 1_000;
    let sales = 0;
    while (performance.now() < untilMs) {
      const sku = skus[Math.floor(random.next() * skus.length)] ?? '';
      const channel = platforms.selling[Math.floor(random.next() * platforms.selling.length)];
      const isReturn = random.next() < 0.04;
      if (channel === undefined) continue;
      if (isReturn) {
        if (channel.giveBack(sku, 1)) truth.cameBack(channel.id, sku, 1);
      } else {
        const { sales: bought } = channel.buy([{ sku, units: random.next() < 0.2 ? 2 : 1 }]);
        for (const sale of bought) {
          truth.sold(channel.id, channel.platform, sale.sku, sale.units);
          sales++;
        }
      }
      await delay(random.next() * 60);
    }
    const wrong = (): number => {
      let count = 0;
      for (const channel of platforms.selling)
        for (const sku of channel.skus)
          // A shop that sold at the same moment as another may go below zero: it sells nothing there, and nothing is written.
          if (Math.max(0, channel.shown(sku)) !== Math.max(0, truth.left(sku))) count++;
      return count;
    };
    const lastMs = performance.now() + (values.naive ? 8_000 : agreeWithinMs);
    while (wrong() > 0 && performance.now() < lastMs) await delay(100);
    // It must stay right: a late write would show now.
    await delay(3_000);
    const exposure = values.naive ? {} : await compareExposure(setting.privateUrl, exposures, 15_000);
    return {
      seed,
      sales,
      oversold: truth.oversold,
      wrongListings: wrong(),
      violations: platforms
        .violations()
        // A delivery that a busy machine did not take in time is one more that was lost.
        .filter(({ kind }) => kind !== 'webhook-refused' && kind !== 'webhook-timeout')
        .map(({ where, kind, detail }) => `${where} ${kind}: ${detail}`),
      counts: Object.fromEntries(truth.counts),
      exposure,
    };
  } finally {
    await setting.stop();
  }
}

function isSafe({ wrongListings, violations, counts, exposure }: Outcome): boolean {
  if (!Object.values(exposure).every(isSame)) return false;
  const shopify = counts['shopify'];
  const isBeyond = Object.values(counts).some(({ beyondExposure }) => beyondExposure > 0);
  return wrongListings === 0 && violations.length === 0 && shopify?.putBack === 0 && !isBeyond;
}

let failures = 0;
for (let run = 0; run < Number(values.runs); run++) {
  const outcome = await play(Number(values.seed) + run);
  const safe = isSafe(outcome);
  if (!safe) failures++;
  console.log(
    JSON.stringify({
      inflight: values.naive ? 'naive' : 'stockmesh',
      safe,
      ...outcome,
      violations: outcome.violations.slice(0, 5),
    }),
  );
}
const passed = values.naive ? failures === Number(values.runs) : failures === 0;
console.log(
  values.naive
    ? `the naive design failed in ${failures} of ${values.runs} runs`
    : `${failures} of ${values.runs} runs unsafe`,
);
process.exit(passed ? 0 : 1);
