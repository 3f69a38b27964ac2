import type { ShipBobApi } from './shipbob.ts';
import type { ShipHeroApi } from './shiphero.ts';
import type { SandboxWarehouse } from './warehouse.ts';
import type { WebhookDesk } from './webhooks.ts';

/** One emulated account with its API and its webhooks. */
export type Account = {
  readonly warehouse: SandboxWarehouse;
  readonly desk: WebhookDesk;
} & (
  | { readonly kind: 'shiphero'; readonly api: ShipHeroApi }
  | { readonly kind: 'shipbob'; readonly api: ShipBobApi }
);
