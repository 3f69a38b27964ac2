import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from '../config/configuration.ts';
import type { NoticeSender } from '../mesh/alerts/alert.ts';
import { AlertMetrics } from '../mesh/alerts/alert-metrics.ts';
import { type AlertScripts, AlertStore } from '../mesh/alerts/alert-store.ts';
import { Alerts } from '../mesh/alerts/alerts.ts';
import { Mailer, MailNoticeSender } from '../mesh/alerts/mail-sender.ts';
import { WebhookSender } from '../mesh/alerts/webhook-sender.ts';

export interface AlertsPart {
  readonly alerts: Alerts;
  /** Undefined: no mail is configured. */
  readonly mailer: Mailer | undefined;
  close(): Promise<void>;
}

export interface AlertsPartOptions {
  readonly config: Config;
  readonly scripts: AlertScripts;
  readonly redis: Redis;
  readonly key: string;
  readonly registry: Registry;
  readonly log: Logger;
}

/** How this daemon calls people, as configured. */
export function startAlerts({ config, scripts, redis, key, registry, log }: AlertsPartOptions): AlertsPart {
  const { merchant, alerts: settings } = config;
  const mailer = settings.mail === undefined ? undefined : new Mailer(settings.mail);
  const senders: NoticeSender[] = settings.webhooks.map(
    (webhook) => new WebhookSender({ ...webhook, merchant }),
  );
  if (mailer !== undefined && settings.mail !== undefined)
    senders.push(new MailNoticeSender(mailer, settings.mail.minSeverity, merchant));
  const alerts = new Alerts({
    store: new AlertStore(scripts, redis, key),
    senders,
    cooldownMs: settings.cooldownMs,
    off: new Set(settings.off),
    metrics: new AlertMetrics(registry),
    log,
  });
  alerts.start();
  return {
    alerts,
    mailer,
    async close() {
      await alerts.close();
      mailer?.close();
    },
  };
}
