import * as fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { TalliedHistogram } from '../../src/telemetry/tallied-histogram.ts';

const common = { name: 'x_seconds', help: 'Of a test' };
const buckets = [0.001, 0.01, 0.1, 1];

test('is shown as a histogram of prom-client with the same observations is', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          what: fc.constantFrom('read', 'reserve'),
          value: fc.oneof(fc.constantFrom(0, ...buckets), fc.double({ min: 0, max: 3, noNaN: true })),
        }),
        { maxLength: 30 },
      ),
      async (observations) => {
        const [theirs, ours] = [new Registry(), new Registry()];
        const reference = new Histogram({ ...common, labelNames: ['what'], buckets, registers: [theirs] });
        const tallied = new TalliedHistogram({ ...common, label: 'what', buckets, registry: ours });
        const kept = tallied.of('unused');
        for (const { what, value } of observations) {
          reference.observe({ what }, value);
          tallied.of(what).observe(value);
        }
        expect(linesOf(await ours.metrics())).toEqual(linesOf(await theirs.metrics()));
        ours.resetMetrics();
        kept.observe(0.5);
        expect(await ours.metrics()).toContain('x_seconds_count{what="unused"} 1');
        expect(await ours.metrics()).not.toContain('read');
      },
    ),
  );
});

function linesOf(text: string): readonly string[] {
  return text.split('\n').toSorted();
}
