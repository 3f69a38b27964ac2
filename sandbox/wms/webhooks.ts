import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import type { Range } from '../shopify/random.ts';
import type { StockChange } from './records.ts';
import type { SandboxWarehouse, Shipment } from './warehouse.ts';

export interface Subscription {
  readonly id: number;
  readonly topic: string;
  readonly url: string;
  readonly secret: string;
  readonly createdAt: number;
  isEnabled: boolean;
  health: 'HEALTHY' | 'WARNING' | 'UNHEALTHY';
  failures: number;
}

export interface WebhookBehaviour {
  delayMs: Range;
  duplicateProbability: number;
  lossProbability: number;
  /** 0.01: a wait of five minutes takes three seconds. */
  retryTimeScale: number;
  timeoutMs: number;
}

export interface DeliveryRecord {
  readonly at: number;
  readonly topic: string;
  readonly status: number | 'failed';
  readonly attempt: number;
}

/** ShipHero: five more tries. ShipBob: the waits of Standard Webhooks' reference sender. */
const RETRIES_S = {
  shiphero: [10, 60, 300, 900, 3_600],
  shipbob: [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000],
} as const;
/** ShipHero switches a webhook off; after how many failures is not documented. */
const FAILURES_TO_DISABLE = 50;
const MAX_SUBSCRIPTIONS = 100;
const MAX_LOG = 20_000;

/** Subscriptions of one account and the deliveries they cause. */
export class WebhookDesk {
  readonly behaviour: WebhookBehaviour = {
    delayMs: { min: 0, max: 0 },
    duplicateProbability: 0,
    lossProbability: 0,
    retryTimeScale: 1,
    timeoutMs: 10_000,
  };
  readonly log: DeliveryRecord[] = [];
  readonly #warehouse: SandboxWarehouse;
  readonly #subscriptions: Subscription[] = [];
  readonly #cancel = new Set<() => void>();
  readonly #underWay = new Set<Promise<void>>();
  #isStopped = false;

  constructor(warehouse: SandboxWarehouse) {
    this.#warehouse = warehouse;
    warehouse.onChange((change) => this.#changed(change));
    warehouse.onShipment((shipment) => this.#shipped(shipment));
  }

  subscribe(topic: string, url: string, secret?: string): Subscription {
    if (this.#subscriptions.length >= MAX_SUBSCRIPTIONS) throw new Error('too many webhooks');
    const made: Subscription = {
      id: this.#subscriptions.length + 1,
      topic,
      url,
      secret: secret ?? this.#newSecret(),
      createdAt: this.#warehouse.clock.now(),
      isEnabled: true,
      health: 'HEALTHY',
      failures: 0,
    };
    this.#subscriptions.push(made);
    return made;
  }

  subscriptions(): readonly Subscription[] {
    return this.#subscriptions;
  }

  /** Resolves when nothing is on its way, apart from what waits for its time. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#cancel) cancel();
    this.#cancel.clear();
  }

  #changed(change: StockChange): void {
    const warehouse = this.#warehouse;
    if (warehouse.kind !== 'shiphero') return;
    const shelves = warehouse.shelves({ sku: change.sku });
    const here = shelves.find(({ placeId }) => placeId === change.placeId);
    const total = shelves.reduce((sum, { onHand }) => sum + onHand, 0);
    const committed = shelves.reduce((sum, shelf) => sum + shelf.committed, 0);
    this.#send('Inventory Update', {
      account_id: 7_556,
      account_uuid: 'QWNjb3VudDo3NTU2',
      webhook_type: 'Inventory Update',
      inventory: [
        {
          sku: change.sku,
          // The account's total, as text.
          inventory: String(total - committed),
          backorder_quantity: '0',
          on_hand: String(total),
          virtual: warehouse.item(change.sku)?.isVirtual ?? false,
          updated_warehouse: {
            warehouse_id: Number(change.placeId),
            warehouse_uuid: Buffer.from(`Warehouse:${change.placeId}`).toString('base64'),
            identifier: here?.place ?? '',
            inventory: String((here?.onHand ?? 0) - (here?.committed ?? 0)),
            backorder_quantity: '0',
            on_hand: String(here?.onHand ?? 0),
          },
        },
      ],
    });
    this.#send('Inventory Change', {
      webhook_type: 'Inventory Change',
      account_id: 7_556,
      warehouse_id: Number(change.placeId),
      sku: change.sku,
      quantity: change.change,
      previous_on_hand: change.before,
      timestamp: new Date(change.at).toISOString().slice(0, 19).replace('T', ' '),
      reason: change.reason,
    });
  }

  #shipped(shipment: Shipment): void {
    const lines = shipment.lines.map(({ sku, units }) => ({
      id: this.#warehouse.item(sku)?.inventoryId ?? 0,
      name: sku,
      quantity: units,
    }));
    if (this.#warehouse.kind === 'shipbob') {
      this.#send('order.shipped', {
        id: shipment.id,
        status: 'Fulfilled',
        shipments: [{ id: shipment.id + 1, products: [{ sku: '', inventory_items: lines }] }],
      });
      return;
    }
    this.#send('Shipment Update', {
      test: '0',
      webhook_type: 'Shipment Update',
      fulfillment: {
        order_id: shipment.id,
        line_items: shipment.lines.map(({ sku, units }) => ({ sku, quantity: units })),
      },
    });
  }

  #send(topic: string, body: object): void {
    for (const subscription of this.#subscriptions) {
      if (subscription.topic !== topic) continue;
      // What happens while a webhook is off is thrown away.
      if (!subscription.isEnabled) continue;
      const { random } = this.#warehouse;
      if (random.chance(this.behaviour.lossProbability)) continue;
      const id = this.#warehouse.kind === 'shipbob' ? `msg_${randomUUID()}` : randomUUID();
      const text = JSON.stringify(body);
      const copies = random.chance(this.behaviour.duplicateProbability) ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        this.#later(random.between(this.behaviour.delayMs), () => this.#deliver(subscription, id, text, 1));
      }
    }
  }

  #later(delayMs: number, task: () => Promise<void>): void {
    if (this.#isStopped) return;
    const cancel = this.#warehouse.clock.schedule(delayMs, () => {
      this.#cancel.delete(cancel);
      const work: Promise<void> = task().finally(() => this.#underWay.delete(work));
      this.#underWay.add(work);
    });
    this.#cancel.add(cancel);
  }

  async #deliver(subscription: Subscription, id: string, body: string, attempt: number): Promise<void> {
    if (this.#isStopped) return;
    let status: number | 'failed' = 'failed';
    let isTaken = false;
    try {
      const response = await fetch(subscription.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.#headers(subscription, id, body) },
        body,
        signal: AbortSignal.timeout(this.behaviour.timeoutMs),
      });
      status = response.status;
      const text = await response.text();
      isTaken = response.ok && this.#isAcknowledged(text);
      if (response.ok && !isTaken)
        this.#warehouse.violate('acknowledgement', `ShipHero wants its own body, not ${text.slice(0, 100)}`);
    } catch {
      status = 'failed';
    }
    if (this.log.length < MAX_LOG) {
      this.log.push({ at: this.#warehouse.clock.now(), topic: subscription.topic, status, attempt });
    }
    if (isTaken) {
      subscription.failures = 0;
      return;
    }
    subscription.failures++;
    subscription.health = 'WARNING';
    if (this.#warehouse.kind === 'shiphero' && subscription.failures >= FAILURES_TO_DISABLE) {
      subscription.health = 'UNHEALTHY';
      subscription.isEnabled = false;
    }
    const waitS = RETRIES_S[this.#warehouse.kind][attempt - 1];
    if (waitS === undefined) return;
    const waitMs = waitS * 1_000 * this.behaviour.retryTimeScale;
    this.#later(waitMs, () => this.#deliver(subscription, id, body, attempt + 1));
  }

  #isAcknowledged(text: string): boolean {
    if (this.#warehouse.kind !== 'shiphero') return true;
    try {
      const body = JSON.parse(text) as Record<string, unknown>;
      return body['code'] === '200' && body['Status'] === 'Success';
    } catch {
      return false;
    }
  }

  #headers({ topic, secret }: Subscription, id: string, body: string): Record<string, string> {
    if (this.#warehouse.kind === 'shiphero') {
      return {
        'x-shiphero-hmac-sha256': createHmac('sha256', secret).update(body).digest('base64'),
        'X-Shiphero-Message-ID': id,
      };
    }
    const stamp = String(Math.floor(this.#warehouse.clock.now() / 1_000));
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    const signature = createHmac('sha256', key).update(`${id}.${stamp}.${body}`).digest('base64');
    return {
      'webhook-id': id,
      'webhook-timestamp': stamp,
      'webhook-signature': `v1,${signature}`,
      'x-webhook-topic': topic,
    };
  }

  #newSecret(): string {
    return this.#warehouse.kind === 'shiphero'
      ? randomBytes(20).toString('hex')
      : `whsec_${randomBytes(24).toString('base64')}`;
  }
}
