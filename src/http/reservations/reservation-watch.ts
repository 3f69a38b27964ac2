import type { AlertRule } from '../../domain/alert-rule.ts';
import type { AlertSink } from '../../mesh/alerts/alert.ts';
import type { ReservationMetrics } from './reservation-metrics.ts';
import type { SlidingShare } from './sliding-share.ts';

/** Fewer than that say nothing about a share. */
const minCount = 100;
const everyMs = 30_000;

interface Watched {
  readonly rule: AlertRule;
  readonly of: SlidingShare;
  readonly isWrong: (share: number) => boolean;
  readonly text: (share: number) => string;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** Raises an alert while one of the shares is out of its range, and resolves it when it is back. */
export class ReservationWatch {
  readonly #alerts: AlertSink;
  readonly #watched: readonly Watched[];
  #timer: NodeJS.Timeout | undefined;

  constructor(metrics: ReservationMetrics, alerts: AlertSink) {
    this.#alerts = alerts;
    this.#watched = [
      {
        rule: 'oversell-rate',
        of: metrics.orders,
        isWrong: (share) => share > 1 / 10_000,
        text: (share) =>
          `${(share * 10_000).toFixed(1)} of 10,000 orders left a level below zero: see the drift report`,
      },
      {
        rule: 'hold-utilisation',
        of: metrics.holds,
        isWrong: (share) => share < 0.4 || share > 0.85,
        text: (share) =>
          `${percent(share)} of the holds were committed: ` +
          (share < 0.4
            ? 'they are taken too early or live too long'
            : 'buyers may be turned away for want of time'),
      },
      {
        rule: 'agent-retries',
        of: metrics.denials,
        isWrong: (share) => share > 0.05,
        text: (share) =>
          `agents asked again within a minute after ${percent(share)} of their out-of-stock denials`,
      },
      {
        rule: 'false-availability',
        of: metrics.promises,
        isWrong: (share) => share > 0.01,
        text: (share) => `${percent(share)} of the reserves the copy had stock for found none in the ledger`,
      },
    ];
  }

  start(): void {
    this.#timer = setInterval(() => this.check(), everyMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  check(): void {
    for (const { rule, of, isWrong, text } of this.#watched) {
      const { share = 0 } = of;
      if (of.count >= minCount && isWrong(share))
        this.#alerts.raise({
          rule,
          key: 'reservations',
          severity: rule === 'oversell-rate' ? 'critical' : 'warning',
          text: text(share),
          facts: { share, of: of.count },
        });
      else this.#alerts.resolve(rule, 'reservations');
    }
  }
}
