import type { Logger } from 'pino';
import {
  type AlertThresholds,
  type ChannelHealth,
  channelFindings,
  channelRules,
} from '../domain/channel-alerts.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { Movement } from '../domain/movement.ts';
import { availableOf } from '../domain/movement.ts';
import type { AlertSink } from '../mesh/alerts/alert.ts';
import type { ChannelStates } from '../mesh/channel-state.ts';
import type { Crossings } from '../mesh/crossings.ts';
import { allParked } from '../mesh/parked-rows.ts';
import type { FreshnessMetrics } from '../mesh/freshness-metrics.ts';
import type { ChannelPart } from './channel-part.ts';
import type { LedgerPart } from './ledger-part.ts';

export interface AlertWatchOptions {
  readonly alerts: AlertSink;
  readonly parts: readonly ChannelPart[];
  readonly states: ChannelStates;
  readonly ledger: LedgerPart;
  readonly crossings: Crossings;
  readonly thresholds: AlertThresholds;
  readonly freshness: FreshnessMetrics;
  readonly log: Logger;
  readonly everyMs?: number | undefined;
}

const lookEveryMs = 5_000;
/** Parked rows are walked to be counted; there may be many. */
const parkedEveryMs = 30_000;
/** A daemon that catches up with the log meets oversells that were told long ago. */
const newsMs = 3_600_000;

interface Watched {
  circuitOpenSinceMs: number | undefined;
  idleBacklogSinceMs: number | undefined;
  answers: number;
}

/**
 * Looks after the daemon's channels and ledger, and calls people. Every daemon looks; the alerts themselves are one for
 * all of them. What depends on this process (its circuit, its backlog) is judged only where the channel is published.
 */
export class AlertWatch {
  readonly #options: AlertWatchOptions;
  readonly #sinceMs = Date.now();
  readonly #timer: NodeJS.Timeout;
  readonly #watched = new Map<ChannelId, Watched>();
  readonly #raised = new Set<string>();
  readonly #unsubscribe: () => void;
  #parked: ReadonlyMap<string, { rows: number; unmapped: number }> = new Map();
  #parkedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(options: AlertWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), options.everyMs ?? lookEveryMs);
    this.#unsubscribe = options.crossings.subscribe(({ sku, to, available }) => {
      const { alerts } = options;
      if (to === 'in_stock') alerts.resolve('low-stock', sku);
      else {
        const text = to === 'low_stock' ? `${available} left` : `None left (${to})`;
        alerts.raise({
          rule: 'low-stock',
          key: sku,
          severity: 'warning',
          text,
          facts: { available, status: to },
        });
      }
    });
    options.ledger.reader.add({ onEntries: (entries) => this.#oversells(entries) });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#unsubscribe();
    await this.#looking;
  }

  #look(): void {
    this.#looking ??= this.#lookOnce()
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'the watch for alerts'))
      .finally(() => (this.#looking = undefined));
  }

  async #lookOnce(): Promise<void> {
    const { alerts, ledger, parts } = this.#options;
    const halted = ledger.halted();
    if (halted !== undefined)
      this.#say({ rule: 'ledger-halted', severity: 'critical', text: halted, facts: {} }, 'ledger');
    else if (this.#raised.delete('ledger-halted ledger')) alerts.resolve('ledger-halted', 'ledger');
    await this.#countParked().catch(() => undefined);
    for (const part of parts) {
      this.#judge(part);
      this.#options.freshness.observe(part.id, part.publishing, this.#options.states.view(part.id));
    }
  }

  #judge(part: ChannelPart): void {
    const { alerts, thresholds } = this.#options;
    const health = this.#healthOf(part);
    if (health === undefined) return;
    const findings = channelFindings(health, thresholds, Date.now());
    const found = new Set(findings.map(({ rule }) => rule));
    for (const finding of findings) this.#say(finding, part.id);
    for (const { rule, isSeenByAll } of channelRules) {
      if (found.has(rule) || (!isSeenByAll && !health.isPublishingHere)) continue;
      // Also what another daemon, or this one before a restart, has raised: over is over.
      alerts.resolve(rule, part.id);
      this.#raised.delete(`${rule} ${part.id}`);
    }
  }

  #say(finding: ReturnType<typeof channelFindings>[number], key: string): void {
    this.#raised.add(`${finding.rule} ${key}`);
    this.#options.alerts.raise({ ...finding, key });
  }

  #healthOf(part: ChannelPart): ChannelHealth | undefined {
    const view = this.#options.states.view(part.id);
    if (view === undefined) return undefined;
    const { counting, publishing } = part;
    const isHere = counting?.isReading ?? publishing.isPublishing;
    const { circuit } = counting ?? publishing;
    const watched = this.#watched.get(part.id) ?? {
      circuitOpenSinceMs: undefined,
      idleBacklogSinceMs: undefined,
      answers: -1,
    };
    this.#watched.set(part.id, watched);
    const isOpen = isHere && circuit !== 'closed';
    watched.circuitOpenSinceMs = isOpen ? (watched.circuitOpenSinceMs ?? Date.now()) : undefined;
    const { backlog, answers } = publishing;
    const isIdle = backlog > 0 && answers === watched.answers;
    watched.idleBacklogSinceMs = isIdle ? (watched.idleBacklogSinceMs ?? Date.now()) : undefined;
    watched.answers = answers;
    const parked = this.#parked.get(part.id);
    return {
      ...view,
      ...part.traits,
      attention: view.attention?.reason,
      isPublishingHere: isHere,
      isLive: view.mode === 'live',
      circuitOpenSinceMs: watched.circuitOpenSinceMs,
      idleBacklogSinceMs: watched.idleBacklogSinceMs,
      watchedSinceMs: this.#sinceMs,
      backlog,
      accessEndsAtMs: part.accessEndsAtMs,
      parkedRows: parked?.rows ?? 0,
      unmappedRows: parked?.unmapped ?? 0,
    };
  }

  async #countParked(): Promise<void> {
    if (performance.now() - this.#parkedAtMs < parkedEveryMs) return;
    const counts = new Map<string, { rows: number; unmapped: number }>();
    for await (const { channel, what, reason, content } of allParked(this.#options.ledger.mesh)) {
      const count = counts.get(channel) ?? { rows: 0, unmapped: 0 };
      count.rows++;
      if (isUnmapped(what, reason, content)) count.unmapped++;
      counts.set(channel, count);
    }
    this.#parked = counts;
    this.#parkedAtMs = performance.now();
  }

  #oversells(entries: readonly Movement[]): void {
    const { alerts, ledger } = this.#options;
    for (const { kind, sku, channel, reference, atMs } of entries) {
      if (kind !== 'ordered' || Date.now() - atMs > newsMs) continue;
      let available = 0;
      for (const level of ledger.projection.levelsOf(sku)?.values() ?? []) available += availableOf(level);
      if (available >= 0) continue;
      const text = `${-available} more of ${sku} are sold than there are; the newest order is ${reference}`;
      const facts = { sku, channel, reference, short: -available };
      alerts.raise({
        rule: 'oversell',
        key: `${channel}/${reference}/${sku}`,
        severity: 'critical',
        text,
        facts,
      });
    }
  }
}

/** A listing whose SKU could not be told, or an order line of one. */
function isUnmapped(what: string, reason: string, content: string): boolean {
  if (what === 'order-line') return reason.endsWith('is not known');
  return what === 'listing' && content.includes('"sku":""');
}
