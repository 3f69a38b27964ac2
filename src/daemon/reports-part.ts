import type { ScheduledTask } from 'node-cron';
import type { Logger } from 'pino';
import type { Config } from '../config/configuration.ts';
import type { Sku } from '../domain/ids.ts';
import type { ReportPorts } from '../http/routes/report-routes.ts';
import { formatPosition } from '../ledger/position.ts';
import type { Mailer } from '../mesh/alerts/mail-sender.ts';
import { KeptRecords } from '../mesh/kept-records.ts';
import type { MeshKeys } from '../mesh/mesh-keys.ts';
import { anyKey, webhookHeaders } from '../mesh/standard-webhooks.ts';
import type { SyncJournal } from '../mesh/sync-journal.ts';
import { scheduleZoned } from '../mesh/zoned-cron.ts';
import { findingsCsv, shortfallsCsv } from '../reconcile/report-csv.ts';
import { reportHtml } from '../reconcile/report-html.ts';
import { ReportMaker } from '../reconcile/report-maker.ts';
import { ReportStore } from '../reconcile/report-store.ts';
import type { Report } from '../reconcile/report.ts';
import type { BuiltChannels } from './build-channels.ts';
import type { LedgerPart } from './ledger-part.ts';
import type { ReconcilePart } from './reconcile-part.ts';
import type { RedisPart } from './redis-part.ts';

export interface ReportsPartOptions {
  readonly config: Config;
  readonly redis: RedisPart;
  readonly ledger: LedgerPart;
  readonly keys: MeshKeys;
  readonly journal: SyncJournal;
  readonly reconciling: Pick<ReconcilePart, 'runs' | 'findings'>;
  readonly channels: BuiltChannels['channels'];
  /** Undefined: no mail is configured. */
  readonly mailer: Mailer | undefined;
  readonly log: Logger;
}

export interface ReportsPart {
  readonly ports: ReportPorts;
  start(): void;
  close(): Promise<void>;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const webhookTimeoutMs = 15_000;

/** Reports on schedule, once for all daemons, by mail and webhook; and by command. */
export function openReports(options: ReportsPartOptions): ReportsPart {
  const { config, redis, ledger, keys, journal, reconciling, log } = options;
  const settings = config.reports;
  const nowMs = (): number => ledger.ledger.nowMs();
  const store = new ReportStore({
    records: new KeptRecords(redis.commands, keys.reports),
    nowMs,
    keepReports: settings.keepReports,
    keepMs: settings.keepDays * dayMs,
  });
  const maker = new ReportMaker({
    merchant: config.merchant,
    channels: config.channels.map(({ id }) => id),
    fullReadMs: (channel, rows) =>
      options.channels.find(({ part }) => part.id === channel)?.connector.fullReadMs?.(rows),
    ...reconciling,
    journal,
    wholeHistory: () => ledger.wholeHistory(),
    rules: {
      refundOrder: settings.refundOrder,
      tiers: settings.tiers,
      valueOf: (sku: Sku) => settings.unitValues?.get(sku),
    },
    timeZone: settings.timeZone,
    currency: settings.unitValues === undefined ? '' : settings.currency,
    nowMs,
    position: () => formatPosition(ledger.projection.position),
  });
  // It reads the whole history: one at a time in this daemon.
  let making: Promise<unknown> = Promise.resolve();
  const make = (hours: number, cause: Report['cause']): Promise<Report> => {
    const next = making
      .catch(() => undefined)
      .then(async () => store.keep(await maker.make(nowMs() - hours * hourMs, cause)));
    making = next;
    return next;
  };
  let cron: ScheduledTask | undefined;
  return {
    ports: { reports: store, make: (hours = settings.coverHours) => make(hours, 'operator') },
    start() {
      if (settings.cron === null) return;
      const tick = async (dueAtMs: number): Promise<void> => {
        try {
          if (!(await ledger.mesh.takePeriod('report', new Date(dueAtMs).toISOString().slice(0, 19)))) return;
          await send(options, await make(settings.coverHours, 'schedule'));
        } catch (error) {
          log.warn({ err: error }, 'the scheduled report was not made');
        }
      };
      cron = scheduleZoned(settings.cron, settings.timeZone, tick);
    },
    async close() {
      await cron?.destroy();
      await making.catch(() => undefined);
    },
  };
}

/** Each way by itself: a mail server that is away does not keep the webhook from being called. */
async function send({ config, mailer, log }: ReportsPartOptions, report: Report): Promise<void> {
  const { mailTo, webhook } = config.reports;
  const failed = (way: string) => (error: unknown) =>
    log.warn({ reportId: report.id, way, err: error }, 'a report was not delivered; it is kept');
  if (mailer !== undefined && mailTo.length > 0) {
    const day = new Intl.DateTimeFormat('en-CA', { timeZone: report.timeZone }).format(report.untilMs);
    const open = report.findings.filter(({ state }) => state !== 'resolved').length;
    const csv = 'text/csv';
    await mailer
      .send({
        to: mailTo,
        subject: `Stock report ${config.merchant} ${day}: ${open === 0 ? 'all channels agree' : `${open} open`}`,
        text: `Differences open: ${open}. Times more was sold than there was: ${report.shortfalls.length}. The report is attached.`,
        attachments: [
          { filename: `stock-report-${day}.html`, content: reportHtml(report), contentType: 'text/html' },
          { filename: `differences-${day}.csv`, content: findingsCsv(report), contentType: csv },
          { filename: `oversold-${day}.csv`, content: shortfallsCsv(report), contentType: csv },
        ],
      })
      .catch(failed('mail'));
  }
  if (webhook === undefined) return;
  const body = JSON.stringify({
    type: 'report.made',
    timestamp: new Date(report.madeAtMs).toISOString(),
    data: report,
  });
  const { signingSecret } = webhook;
  const signing = signingSecret === undefined ? [] : [anyKey(signingSecret)];
  await fetch(webhook.url.reveal(), {
    method: 'POST',
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(webhookTimeoutMs),
    headers: {
      'content-type': 'application/json',
      ...webhookHeaders({ id: report.id, body }, signing, Date.now()),
    },
  })
    .then((response) => {
      if (!response.ok) throw new Error(`the receiver answers ${response.status}`);
      return response.body?.cancel();
    })
    // A failed fetch quotes the address, which may be a credential.
    .catch((error: unknown) =>
      failed('webhook')(
        error instanceof Error && error.message.startsWith('the receiver') ? error : 'not reached',
      ),
    );
}
