import type { FourPlatforms } from './emulators/four-platforms.ts';
import type { Tally } from './replay.ts';
import type { ReplayPlan } from './replay-plan.ts';
import type { ShelfClock } from './shelf-clock.ts';
import type { DemoFigures } from './view.ts';

export interface DaemonChannel {
  readonly channel: string;
  readonly status: string;
  readonly settled: number;
  readonly attention?: { readonly reason: string } | undefined;
}

export async function askDaemon<T>(privateUrl: string, path: string): Promise<T> {
  const response = await fetch(`${privateUrl}${path}`, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) throw new Error(`GET ${path} answered ${response.status}`);
  return (await response.json()) as T;
}

export async function readFigures(
  privateUrl: string,
  platforms: FourPlatforms,
  plan: ReplayPlan,
  tally: Tally,
  shelf: ShelfClock,
): Promise<DemoFigures> {
  let position = '-';
  let movements = 0;
  const statuses = new Map<string, string>();
  try {
    const body = await askDaemon<{ readonly epoch: number; readonly seq: number }>(privateUrl, '/position');
    position = `${body.epoch}-${body.seq}`;
    movements = body.seq;
    const { channels } = await askDaemon<{ readonly channels: readonly DaemonChannel[] }>(
      privateUrl,
      '/channels',
    );
    for (const { channel, status, attention } of channels)
      statuses.set(channel, attention === undefined ? status : `${status}: ${attention.reason}`);
  } catch {
    // The daemon is starting, or was just killed: the figures go on without it.
  }
  const statusOf = (id: string): string => statuses.get(id) ?? 'away';
  return {
    phase: tally.phase,
    elapsedMs: performance.now() - tally.startedMs,
    ordersIn: tally.orders,
    ordersPlanned: plan.orders.length,
    linesRefused: tally.refusedLines,
    adjustmentsIn: tally.adjustments,
    adjustmentsPlanned: plan.adjustments.length,
    movements,
    position,
    waiting: shelf.waiting(),
    oversold: oversoldUnits(platforms, plan, tally),
    shelfMs: shelf.percentiles(shopIds(platforms)),
    channels: platforms.selling.map(({ id, platform, skus }) => ({
      id,
      platform,
      skus: skus.size,
      orders: tally.ordersOf.get(id) ?? 0,
      waiting: shelf.waiting([id]),
      shelfMs: shelf.percentiles([id]),
      status: statusOf(id),
    })),
    warehouseStatus: statusOf('wms'),
  };
}

export function shopIds({ selling }: Pick<FourPlatforms, 'selling'>): readonly string[] {
  return selling.filter(({ platform }) => platform === 'shopify').map(({ id }) => id);
}

/** Units sold that are not in the house. */
function oversoldUnits({ wms }: FourPlatforms, plan: ReplayPlan, tally: Tally): number {
  let units = 0;
  for (const sku of plan.openingUnits.keys())
    units += Math.max(0, (tally.sold.get(sku) ?? 0) - wms.warehouse.onHand(sku));
  return units;
}
