import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { PublisherLedger } from '../../ledger/contract.ts';
import type { RecordCommands } from '../../ledger/record-commands.ts';
import type { NoticeCommands } from '../../ledger/notice-commands.ts';
import { failpoint } from '../../telemetry/failpoint.ts';
import { Alarm, jittered } from '../alarm.ts';
import { ChannelLease, type LeaseSettings, type LeaseTerm } from '../channel-lease.ts';
import type { LogHistory } from '../fan-out.ts';
import { type DeliverySettings, defaultDeliverySettings, type Endpoint } from './endpoint.ts';
import { type DeadLetter, EndpointQueue } from './endpoint-queue.ts';
import { EndpointStates } from './endpoint-states.ts';
import { type AvailabilityView, NoticeFollower } from './notice-follower.ts';
import type { NoticeMetrics } from './notice-metrics.ts';

export interface NoticesOptions {
  readonly endpoints: readonly Endpoint[];
  readonly commands: NoticeCommands;
  readonly lease: Pick<PublisherLedger, 'takeLease' | 'giveUpLease'>;
  readonly holder: string;
  readonly history: LogHistory;
  readonly view: AvailabilityView;
  /** Of the queues; BullMQ makes its own blocking connections from it. */
  readonly redis: Redis;
  readonly queuePrefix: string;
  /** How the endpoints fare. */
  readonly records: Pick<RecordCommands, 'all' | 'one' | 'change'>;
  readonly metrics: NoticeMetrics;
  readonly nowMs: () => number;
  readonly log: Logger;
  readonly version: string;
  /** Told when an endpoint is given up, and again at every look while it stays so. */
  readonly onDisabled: (endpoint: string, reason: string) => void;
  readonly onEnabled: (endpoint: string) => void;
  readonly settings?: Partial<DeliverySettings> | undefined;
  readonly leaseSettings?: LeaseSettings | undefined;
  readonly pageEntries?: number | undefined;
}

export interface EndpointView {
  readonly id: string;
  readonly url: string;
  readonly status: 'fine' | 'failing' | 'disabled';
  readonly failingSince: string | undefined;
  readonly reason: string;
  readonly waiting: number;
  readonly dead: number;
}

const leaseTimes: LeaseSettings = { ttlMs: 5_000, renewEveryMs: 1_500, retryEveryMs: 2_000 };
const idleMs = 1_000;
const handOnAtOnce = 100;
const closeGraceMs = 1_500;
const countEveryMs = 5_000;

/**
 * Tells the merchant's own systems what happened, by signed webhooks.
 *
 *   follower (one daemon, by lease) --books--> outbox in the ledger --handed on--> a queue per endpoint --> delivered | dead
 *
 * Booking and place move in one call and only from the place that was read, so a second follower (a paused one that wakes
 * up) books nothing twice; handing on and delivering may repeat after a crash, always under the same webhook-id.
 */
export class Notices {
  readonly #options: NoticesOptions;
  readonly #queues: readonly EndpointQueue[];
  readonly #states: EndpointStates;
  readonly #follower: NoticeFollower;
  readonly #lease: ChannelLease;
  readonly #alarm = new Alarm();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: NoticesOptions) {
    this.#options = options;
    const settings = { ...defaultDeliverySettings, ...options.settings };
    this.#states = new EndpointStates(options.records);
    this.#queues = options.endpoints.map(
      (endpoint) => new EndpointQueue({ ...options, endpoint, settings, states: this.#states }),
    );
    this.#follower = new NoticeFollower(options);
    const times = options.leaseSettings ?? leaseTimes;
    this.#lease = new ChannelLease(options.lease, 'notices', options.holder, times, options.log);
  }

  /** For `LogReader.add`, after the projection: what it knows is what crossings are judged by. */
  readonly onEntries = (): void => this.#alarm.ring();

  async start(): Promise<void> {
    await this.#states.load();
    for (const queue of this.#queues) queue.start();
    this.#lease.start((term) => this.#work(term));
    this.#timer = setInterval(() => {
      this.#look().catch((error: unknown) =>
        this.#options.log.debug({ err: error }, 'notices were not counted'),
      );
    }, countEveryMs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#alarm.ring();
    await this.#lease.close();
    await Promise.all(this.#queues.map((queue) => queue.close(closeGraceMs)));
  }

  async view(): Promise<readonly EndpointView[]> {
    await this.#states.load();
    return Promise.all(
      this.#queues.map(async (queue): Promise<EndpointView> => {
        const { id, url } = queue.endpoint;
        const { failingSinceMs, disabledAtMs, reason } = this.#states.of(id);
        const status = disabledAtMs > 0 ? 'disabled' : failingSinceMs > 0 ? 'failing' : 'fine';
        const failingSince = failingSinceMs > 0 ? new Date(failingSinceMs).toISOString() : undefined;
        return { id, url, status, failingSince, reason, ...(await queue.counts()) };
      }),
    );
  }

  /** Nothing: no such endpoint. */
  async dead(endpoint: string, limit: number): Promise<readonly DeadLetter[] | undefined> {
    return this.#queueOf(endpoint)?.dead(limit);
  }

  /** How many dead letters were put back; nothing: no such endpoint. */
  async enable(endpoint: string): Promise<number | undefined> {
    const sentAgain = await this.#queueOf(endpoint)?.enable();
    if (sentAgain !== undefined) this.#options.onEnabled(endpoint);
    return sentAgain;
  }

  #queueOf(endpoint: string): EndpointQueue | undefined {
    return this.#queues.find((queue) => queue.endpoint.id === endpoint);
  }

  async #work(term: LeaseTerm): Promise<void> {
    this.#follower.forget();
    let retryMs = 50;
    while (!term.ended.aborted && !this.#isClosed) {
      try {
        const state = await this.#follower.step();
        const handed = await this.#handOn();
        retryMs = 50;
        if (state === 'level' && handed === 0) await this.#alarm.sleep(idleMs);
      } catch (error) {
        this.#options.log.warn({ err: error }, 'notices were not booked or handed on; they will be');
        this.#follower.forget();
        await this.#alarm.sleep(jittered(retryMs));
        retryMs = Math.min(retryMs * 2, 2_000);
      }
    }
  }

  async #handOn(): Promise<number> {
    const { commands } = this.#options;
    const waiting = await commands.waiting(handOnAtOnce);
    if (waiting.length === 0) return 0;
    for (const queue of this.#queues) await queue.add(waiting.filter((notice) => queue.wants(notice)));
    await failpoint('notices-handed-on');
    await commands.drop(waiting);
    return waiting.length;
  }

  async #look(): Promise<void> {
    const { metrics, commands } = this.#options;
    metrics.waiting.set(await commands.waitingCount());
    for (const { id, status, dead, reason } of await this.view()) {
      metrics.dead.set({ endpoint: id }, dead);
      metrics.disabled.set({ endpoint: id }, status === 'disabled' ? 1 : 0);
      if (status === 'disabled') this.#options.onDisabled(id, reason);
    }
  }
}
