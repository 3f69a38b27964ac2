import { setTimeout as delay } from 'node:timers/promises';
import { askDaemon } from '../../demo/figures.ts';
import type { SyncRecord } from '../../src/mesh/sync-journal.ts';
import type { CountedExposure, ExposureCount, ToldWrite } from '../../sandbox/exposure-count.ts';
import { exportedRows } from '../support/exported-rows.ts';

export interface ExposureOutcome extends CountedExposure {
  /** What the daemon says of the same. */
  readonly computed: number;
  /** By how much it says that may be wrong. */
  readonly doubtful: number;
}

interface Channel {
  readonly channel: string;
  readonly exposure?: { readonly soldUnits: number; readonly doubtfulUnits: number };
}

/**
 * What the emulators counted beside what the daemon computed, per channel. The emulator counts units, readings and applies
 * by its own clock; of the daemon it takes only which reading each write says it stems from (`stockmesh export sync`).
 * The daemon knows no moment of an apply: it computes from numbers. Both must come to the same, once its last readings
 * have come: waited for at most `withinMs`. It may be wrong by the units that it calls doubtful: between a reading and an
 * apply so near each other that the number could be before or after it; and the count by what it calls unsure.
 */
export async function compareExposure(
  privateUrl: string,
  counts: ReadonlyMap<string, ExposureCount>,
  withinMs: number,
): Promise<Readonly<Record<string, ExposureOutcome>>> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    const told = await toldWrites(privateUrl);
    const { channels } = await askDaemon<{ readonly channels: readonly Channel[] }>(privateUrl, '/channels');
    const outcomes = Object.fromEntries(
      [...counts].map(([channel, count]): [string, ExposureOutcome] => {
        const exposure = channels.find((one) => one.channel === channel)?.exposure;
        const [computed, doubtful] = [exposure?.soldUnits ?? -1, exposure?.doubtfulUnits ?? 0];
        return [channel, { ...count.count(told.get(channel) ?? []), computed, doubtful }];
      }),
    );
    const isExact = Object.values(outcomes).every((one) => isSame({ ...one, doubtful: 0, unsure: 0 }));
    if (isExact || performance.now() > untilMs) return outcomes;
    await delay(500);
  }
}

export function isSame({ units, unsure, untold, computed, doubtful }: ExposureOutcome): boolean {
  return untold === 0 && Math.abs(units - computed) <= doubtful + unsure;
}

async function toldWrites(privateUrl: string): Promise<ReadonlyMap<string, readonly ToldWrite[]>> {
  const told = (await exportedRows<SyncRecord>(privateUrl, 'sync')).filter(
    ({ kind, outcome }) => kind === 'put' && outcome === 'accepted',
  );
  const byChannel = Map.groupBy(told, ({ channel }) => channel);
  return new Map(
    [...byChannel].map(([channel, writes]) => [
      channel,
      writes.flatMap(({ sku, to, readAtMs, atMs }) =>
        readAtMs === undefined ? [] : [{ sku, to, readAtMs, answeredAtMs: atMs }],
      ),
    ]),
  );
}
