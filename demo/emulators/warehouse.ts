import { type WmsSandbox, startWmsSandbox } from '../../sandbox/wms/server.ts';
import type { SandboxWarehouse } from '../../sandbox/wms/warehouse.ts';
import type { EmulatedPlatform, EmulationOptions } from '../selling-channel.ts';

export interface EmulatedWarehouse extends EmulatedPlatform {
  readonly sandbox: WmsSandbox;
  readonly warehouse: SandboxWarehouse;
}

/** A ShipHero account whose one warehouse holds the stock: it owns the on-hand figure of the location `location`. */
export async function emulateWarehouse(
  location: string,
  { stock, seed, rateLimits, isRough }: EmulationOptions,
): Promise<EmulatedWarehouse> {
  const sandbox = await startWmsSandbox();
  const { warehouse, desk } = sandbox.add({ name: 'wms', kind: 'shiphero', seed, rateLimit: rateLimits });
  for (const [sku, onHand] of stock) warehouse.addItem({ sku, onHand });
  if (isRough)
    Object.assign(desk.behaviour, {
      delayMs: { min: 0, max: 400 },
      duplicateProbability: 0.1,
      lossProbability: 0.05,
    });
  const place = warehouse.places[0]?.id ?? '';
  return {
    sandbox,
    warehouse,
    channels: [],
    config: [
      {
        id: 'wms',
        platform: 'wms',
        mode: 'live',
        baseUrl: warehouse.baseUrl,
        connection: {
          kind: 'shiphero',
          credentials: { kind: 'login', username: 'user@example.com', password: 'file:wms.secret' },
        },
        locations: { [place]: [location] },
        poll: { intervalMs: 5_000 },
        skewMs: 500,
      },
    ],
    secrets: { 'wms.secret': 'secret' },
    violations: () => sandbox.violations().map(({ kind, detail }) => ({ where: 'wms', kind, detail })),
    stop: () => sandbox.stop(),
  };
}
