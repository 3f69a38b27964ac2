import * as fc from 'fast-check';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { ChannelId, ListingId } from '../../src/domain/ids.ts';
import type { ListingBase, OpenWrite } from '../../src/domain/listing.ts';
import { ExposureMeter, ExposureMetrics } from '../../src/mesh/exposure-meter.ts';

const x = 'X@L1' as ListingId;
const y = 'Y@L1' as ListingId;

function meterOf(registry = new Registry()): ExposureMeter {
  return new ExposureMeter({
    channel: 'amazon' as ChannelId,
    applyGraceMs: 60_000,
    unitsPerHour: (sku) => (sku === 'X' ? 30 : 0.1),
    metrics: new ExposureMetrics(registry),
  });
}

function base(value: number, takenAt: number, asOfMs: number): ListingBase {
  return { value, takenAt, asOfMs, settled: true };
}

function open(writeId: string, to: number): OpenWrite {
  return { writeId, kind: 'absolute', from: 0, to, takenAt: 0, sentAtMs: 0, outcome: 'accepted', token: 1 };
}

test('from the reading to the apply, at the pace of the SKU; the fastest decides the buffer, for an hour', async () => {
  const registry = new Registry();
  const meter = meterOf(registry);
  const write = { writeId: 'w', sentAtMs: 240_000, to: 5 };
  // Never read: nothing is known of its window, and an absolute write needs a reading.
  meter.written(x, 'X', write, 100_000);
  expect(meter.view(100_000)).toMatchObject({ writes: 0, recommendedBufferUnits: 0 });
  look(meter, x, base(10, 0, 70_000));
  look(meter, y, base(10, 0, 100_000));
  meter.written(x, 'X', write, 250_000);
  meter.written(y, 'Y', write, 250_000);
  // (180 s until it was taken + 60 s until it shows) x 30 per hour = 2 units.
  expect(meter.view(250_000)).toEqual({
    writes: 2,
    p50Ms: 240_000,
    maxMs: 240_000,
    units: 2,
    recommendedBufferUnits: 2,
    soldUnits: 0,
    doubtfulUnits: 0,
  });
  expect(await registry.metrics()).toContain('stockmesh_exposure_buffer_units{channel="amazon"} 2');
  expect(meter.view(250_000 + 3_600_001)).toMatchObject({ writes: 0, recommendedBufferUnits: 0 });
});

function look(
  meter: ExposureMeter,
  listing: ListingId,
  settled: ListingBase,
  openWrites: readonly OpenWrite[] = [],
  taken = settled.takenAt,
): void {
  meter.looked(listing, { base: settled, taken, openWrites, rises: [] });
}

const step = fc.record({
  /** Sold before the first write of the chain is applied, between its writes, and after the last of them. */
  sold: fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)),
  lowerings: fc.tuple(fc.integer({ min: 1, max: 5 }), fc.option(fc.integer({ min: 1, max: 5 }))),
  isKnownLate: fc.boolean(),
});

test('what was sold between reading and apply is counted from numbers alone, whenever the orders are heard of', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const meter = meterOf();
      let shows = 1_000;
      let taken = 0;
      let unheard = 0;
      let exposed = 0;
      look(meter, x, base(shows, taken, 0));
      for (const [index, { sold, lowerings, isKnownLate }] of steps.entries()) {
        const before = base(shows, taken - unheard, index * 10);
        const writes: OpenWrite[] = [];
        const [first, second] = lowerings;
        for (const [part, by] of [first, ...(second === null ? [] : [second])].entries()) {
          // Taken by its own orders, and then wiped out by a number that stems from the reading before.
          taken += sold[part] ?? 0;
          exposed += sold[part] ?? 0;
          const to = (writes.at(-1)?.to ?? before.value) - by;
          const written = open(`${index}-${part}`, to);
          look(meter, x, before, writes);
          meter.written(x, 'X', { ...written, sentAtMs: index * 10 + part }, index * 10);
          writes.push(written);
          shows = to;
        }
        look(meter, x, before, writes);
        shows -= sold[2];
        taken += sold[2];
        unheard = isKnownLate ? sold[2] : 0;
        look(meter, x, base(shows, taken - unheard, index * 10 + 9));
        if (unheard === 0) expect(meter.view(0).soldUnits).toBe(exposed);
      }
      look(meter, x, base(shows, taken, 1_000));
      expect(meter.view(0).soldUnits).toBe(exposed);
      expect(meter.view(0).doubtfulUnits).toBe(0);
      // Another process may have written meanwhile: what was counted stays, and counting begins anew.
      meter.begin();
      look(meter, x, base(500, taken, 2_000));
      expect(meter.view(0).soldUnits).toBe(exposed);
    }),
  );
});

const first = { ...open('first', 8), sentAtMs: 10 };
const second = { ...open('second', 7), sentAtMs: 2_000 };

test.each([
  // Two sold before the apply of 8, one given back after it: the reading shows 9, and the write is in it.
  { what: 'was applied', shows: 9, sold: 2, givenBack: 1, end: 7, exposed: 2 },
  // Two sold, the apply still to come: what the reading saw go is erased by it all the same.
  { what: 'came late', shows: 10, sold: 2, givenBack: 0, end: 7, exposed: 2 },
])(
  'a reading that does not prove the write tells whether it $what',
  ({ shows, sold, givenBack, end, exposed }) => {
    const meter = meterOf();
    look(meter, x, base(12, 0, 0));
    meter.written(x, 'X', first, 20);
    look(meter, x, base(shows, sold - givenBack, 1_000), [first], sold);
    meter.written(x, 'X', second, 2_010);
    look(meter, x, base(end, sold - givenBack, 5_000));
    expect(meter.view(0)).toMatchObject({ soldUnits: exposed, doubtfulUnits: shows - 8 });
  },
);
