import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { ChannelId, ListingId } from '../../src/domain/ids.ts';
import { ExposureMeter, ExposureMetrics } from '../../src/mesh/exposure-meter.ts';

const x = 'X@L1' as ListingId;
const y = 'Y@L1' as ListingId;

test('from the reading to the apply, at the pace of the SKU; the fastest decides the buffer, for an hour', async () => {
  const registry = new Registry();
  const meter = new ExposureMeter({
    channel: 'amazon' as ChannelId,
    applyGraceMs: 60_000,
    unitsPerHour: (sku) => (sku === 'X' ? 30 : 0.1),
    metrics: new ExposureMetrics(registry),
  });
  // Never read: nothing is known of its window, and an absolute write needs a reading.
  meter.written(x, 'X', 100_000);
  expect(meter.view(100_000)).toMatchObject({ writes: 0, recommendedBufferUnits: 0 });
  meter.looked(x, 70_000);
  meter.looked(y, 100_000);
  meter.written(x, 'X', 250_000);
  meter.written(y, 'Y', 250_000);
  // (180 s until it was taken + 60 s until it shows) x 30 per hour = 2 units.
  expect(meter.view(250_000)).toEqual({
    writes: 2,
    p50Ms: 240_000,
    maxMs: 240_000,
    units: 2,
    recommendedBufferUnits: 2,
  });
  expect(await registry.metrics()).toContain('stockmesh_exposure_buffer_units{channel="amazon"} 2');
  expect(meter.view(250_000 + 3_600_001)).toMatchObject({ writes: 0, recommendedBufferUnits: 0 });
});
