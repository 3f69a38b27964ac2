import type { Logger } from 'pino';
import type { AlertRule } from '../../domain/alert-rule.ts';
import { severityRank } from '../../domain/alert-rule.ts';
import { Alarm } from '../alarm.ts';
import {
  type Alert,
  alertId,
  type AlertNotice,
  type AlertSink,
  bounded,
  type NoticeSender,
} from './alert.ts';
import type { AlertMetrics } from './alert-metrics.ts';
import type { AlertStore, AlertView, ClaimedNotice } from './alert-store.ts';

export interface AlertsOptions {
  readonly store: Pick<AlertStore, 'raise' | 'resolve' | 'claim' | 'told' | 'list'>;
  readonly senders: readonly NoticeSender[];
  readonly cooldownMs: number;
  /** Rules that are not raised at all. */
  readonly off?: ReadonlySet<AlertRule> | undefined;
  readonly metrics: AlertMetrics;
  readonly log: Logger;
  readonly settings?: Partial<AlertsSettings> | undefined;
}

export interface AlertsSettings {
  readonly everyMs: number;
  readonly sendTimeoutMs: number;
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
  /** A notice that did not get through by then is given up for that sender; the alert stays. */
  readonly maxAttempts: number;
  readonly maxQueued: number;
  /** Alerts that are over are shown for this long. */
  readonly keepMs: number;
  /** When the store takes nothing for this long, critical alerts are sent without it. */
  readonly withoutStoreMs: number;
}

const defaultSettings: AlertsSettings = {
  everyMs: 2_000,
  sendTimeoutMs: 10_000,
  firstRetryMs: 5_000,
  maxRetryMs: 600_000,
  maxAttempts: 12,
  maxQueued: 1_000,
  keepMs: 86_400_000,
  withoutStoreMs: 30_000,
};

interface Queued {
  readonly alert: Alert;
  readonly isOver: boolean;
}

/**
 * Tells people what they should know, once for all daemons of the merchant.
 *
 *   absent --raise--> open (told) --raise within the cooldown--> open (quiet) --after it--> open (reminded)
 *   open --worse severity--> open (told)      open --resolve--> over (told, when it was told to be there)
 *   over --raise within the cooldown--> open (quiet: a thing that comes and goes is not told each time)
 *   a notice --claimed by one daemon--> sent | tried again, longer each time | given up for that sender
 *
 * Raising only queues; the loop records in Redis, whose script decides. What this daemon knows in memory may be lost
 * with it: states are raised again by whoever still sees them.
 */
export class Alerts implements AlertSink {
  readonly #options: AlertsOptions;
  readonly #settings: AlertsSettings;
  readonly #alarm = new Alarm();
  readonly #closing = new AbortController();
  readonly #queued = new Map<string, Queued>();
  /** Only while the store is away: when this daemon last told each. */
  readonly #toldAlone = new Map<string, number>();
  #failingSinceMs: number | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: AlertsOptions) {
    this.#options = options;
    this.#settings = { ...defaultSettings, ...options.settings };
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#alarm.ring();
    await this.#loop;
  }

  raise(alert: Alert): void {
    if (this.#options.off?.has(alert.rule) === true) return;
    this.#queue(alertId(alert.rule, alert.key), { alert: bounded(alert), isOver: false });
  }

  resolve(rule: AlertRule, key: string): void {
    if (this.#options.off?.has(rule) === true) return;
    this.#queue(alertId(rule, key), { alert: { rule, key, severity: 'info', text: '' }, isOver: true });
  }

  list(): Promise<readonly AlertView[]> {
    return this.#options.store.list();
  }

  /** Through every sender at once, past cooldown and queue: whether people can be reached. */
  async test(by: string): Promise<readonly { readonly sender: string; readonly outcome: string }[]> {
    const notice: AlertNotice = {
      id: 'test',
      number: 0,
      kind: 'raised',
      alert: { rule: 'test', key: 'test', severity: 'critical', text: `A test by ${by}: nothing is wrong.` },
      openedAtMs: Date.now(),
      times: 1,
    };
    return Promise.all(
      this.#options.senders.map(async (sender) => {
        const failure = await this.#send(sender, notice);
        return { sender: sender.name, outcome: failure ?? 'sent' };
      }),
    );
  }

  #queue(id: string, queued: Queued): void {
    if (!this.#queued.has(id) && this.#queued.size >= this.#settings.maxQueued) {
      this.#options.metrics.raised.inc({ rule: queued.alert.rule, outcome: 'dropped' });
      return;
    }
    this.#queued.set(id, queued);
    this.#alarm.ring();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#record();
        const due = await this.#options.store.claim(this.#claimMs(), this.#settings.keepMs);
        for (const notice of due) await this.#deliver(notice);
        await this.#count();
        this.#failingSinceMs = undefined;
      } catch (error) {
        await this.#withoutStore(error);
      }
      if (!signal.aborted) await this.#alarm.sleep(this.#settings.everyMs);
    }
    // What was noticed during the stop is recorded, and told by whoever lives.
    await this.#record().catch(() => undefined);
  }

  async #record(): Promise<void> {
    const { store, cooldownMs, metrics, log } = this.#options;
    for (const [id, queued] of this.#queued) {
      const { alert, isOver } = queued;
      const names = this.#options.senders.map(({ name }) => name);
      if (isOver) {
        const outcome = await store.resolve(alert.rule, alert.key, names);
        if (outcome === 'resolved') log.info({ rule: alert.rule, key: alert.key }, 'alert: it is over');
      } else {
        const reached = this.#options.senders.filter(
          ({ minSeverity }) => severityRank(alert.severity) >= severityRank(minSeverity),
        );
        const outcome = await store.raise(
          alert,
          cooldownMs,
          reached.map(({ name }) => name),
        );
        metrics.raised.inc({ rule: alert.rule, outcome });
        if (outcome === 'full') log.error({ alert }, 'an alert was not kept: there are too many');
        else if (outcome !== 'quiet') log.warn({ alert, outcome }, 'alert');
      }
      // Unless it was raised anew meanwhile.
      if (this.#queued.get(id) === queued) this.#queued.delete(id);
    }
  }

  async #deliver(notice: ClaimedNotice): Promise<void> {
    const { store, senders } = this.#options;
    // It came back before anybody was told that it was over.
    const isStale = notice.kind === 'resolved' && notice.state === 'open';
    const left: string[] = [];
    for (const name of isStale ? [] : notice.sendersLeft) {
      const sender = senders.find((known) => known.name === name);
      // Another daemon's configuration has it, this one's not.
      const failure = sender === undefined ? 'not configured here' : await this.#send(sender, notice);
      if (failure === undefined) continue;
      if (notice.attempts + 1 < this.#settings.maxAttempts) left.push(name);
      else this.#givenUp(name, notice, failure);
    }
    const { firstRetryMs, maxRetryMs } = this.#settings;
    await store.told(notice, left, Math.min(firstRetryMs * 2 ** notice.attempts, maxRetryMs));
  }

  /** Undefined when it got through. */
  async #send(sender: NoticeSender, notice: AlertNotice): Promise<string | undefined> {
    const { metrics, log } = this.#options;
    const abort = new AbortController();
    const giveUp = (): void => abort.abort();
    const timer = setTimeout(giveUp, this.#settings.sendTimeoutMs);
    this.#closing.signal.addEventListener('abort', giveUp);
    const late = new Promise<never>((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(new Error('no answer in time')), { once: true });
    });
    try {
      await Promise.race([sender.send(notice, abort.signal), late]);
      metrics.notices.inc({ sender: sender.name, outcome: 'sent' });
      return undefined;
    } catch (error) {
      metrics.notices.inc({ sender: sender.name, outcome: 'failed' });
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ sender: sender.name, id: notice.id, reason }, 'a notice did not get through');
      return reason;
    } finally {
      clearTimeout(timer);
      this.#closing.signal.removeEventListener('abort', giveUp);
    }
  }

  #givenUp(name: string, { id }: AlertNotice, reason: string): void {
    this.#options.metrics.notices.inc({ sender: name, outcome: 'given-up' });
    this.#options.log.error({ sender: name, id, reason }, 'a notice is given up');
  }

  /** A ledger that is away or halted is the worst time to be silent. */
  async #withoutStore(error: unknown): Promise<void> {
    const nowMs = performance.now();
    this.#failingSinceMs ??= nowMs;
    this.#options.log.warn({ err: error }, 'alerts wait for Redis');
    if (nowMs - this.#failingSinceMs < this.#settings.withoutStoreMs) return;
    for (const [id, { alert, isOver }] of this.#queued) {
      const isToldLately =
        nowMs - (this.#toldAlone.get(id) ?? Number.NEGATIVE_INFINITY) < this.#options.cooldownMs;
      if (isOver || alert.severity !== 'critical' || isToldLately) continue;
      this.#toldAlone.set(id, nowMs);
      const notice: AlertNotice = { id, number: 0, kind: 'raised', alert, openedAtMs: Date.now(), times: 1 };
      for (const sender of this.#options.senders) await this.#send(sender, notice);
    }
  }

  async #count(): Promise<void> {
    const { store, metrics } = this.#options;
    metrics.open.reset();
    for (const { state, rule, severity } of await store.list()) {
      if (state === 'open') metrics.open.inc({ rule, severity });
    }
  }

  /** Longer than all its senders can take: it is not handed to another daemon meanwhile. */
  #claimMs(): number {
    return this.#settings.sendTimeoutMs * Math.max(1, this.#options.senders.length) + 5_000;
  }
}
