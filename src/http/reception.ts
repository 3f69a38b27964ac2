import type { Logger } from 'pino';
import type { Connector, WebhookHeaders } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { AcceptResult } from '../mesh/inbox.ts';
import { type Delivery, keptHeaders } from '../mesh/inbox-job.ts';
import type { LevelNotice } from '../mesh/level-notice.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import type { HttpMetrics, WebhookOutcome } from './http-metrics.ts';
import { jsonProblem } from './json-shape.ts';
import type { DeliveryAnswer, RawDelivery, RefusalCode } from './public-server.ts';

/** A doorbell that was proven and read where it came in. */
export interface Ring {
  readonly channel: ChannelId;
  readonly notice: LevelNotice;
}

export interface ReceptionOptions {
  /** Undefined: no such channel, or it is off. */
  readonly find: (channel: ChannelId) => Pick<Connector, 'verifyWebhook' | 'acknowledgement'> | undefined;
  readonly accept: (delivery: Delivery) => Promise<AcceptResult>;
  /** Tells who reads what a doorbell names. False: the body says more than that, so it has to be stored. */
  readonly ring: (channel: ChannelId, raw: Uint8Array, headers: WebhookHeaders) => boolean;
  readonly rung: (channel: ChannelId, notice: LevelNotice) => void;
  /** A genuine delivery arrived: pushes of this channel are alive. */
  readonly onGenuine: (channel: ChannelId) => void;
  /** Ledger clock. */
  readonly nowMs: () => number;
  readonly metrics: HttpMetrics;
  readonly log: Logger;
}

/** Forgeries come in floods; one line per channel and second tells enough. */
const logEveryMs = 1_000;

/** What becomes of deliveries that the public listener let in: proven, then kept, then answered. */
export class Reception {
  readonly #options: ReceptionOptions;
  readonly #quietUntil = new Map<string, number>();

  constructor(options: ReceptionOptions) {
    this.#options = options;
  }

  /** `count` deliveries were refused alike. */
  refused(channel: string, outcome: WebhookOutcome, reason: string, count = 1): void {
    const { metrics, log } = this.#options;
    metrics.webhooks.inc({ channel, outcome }, count);
    const key = `${channel} ${outcome}`;
    const nowMs = performance.now();
    if (nowMs < (this.#quietUntil.get(key) ?? 0)) return;
    this.#quietUntil.set(key, nowMs + logEveryMs);
    log.warn({ channel, outcome, reason }, 'delivery refused');
  }

  answered(tookMs: number): void {
    this.#options.metrics.webhookSeconds.observe(tookMs / 1_000);
  }

  /** Doorbells that were heard, and answered, where they came in. */
  rung(rings: readonly Ring[]): void {
    const { metrics, onGenuine, find } = this.#options;
    const counts = new Map<ChannelId, number>();
    for (const { channel, notice } of rings) {
      // Switched off since: nobody is there to hear it.
      if (find(channel) === undefined) continue;
      counts.set(channel, (counts.get(channel) ?? 0) + 1);
      this.#options.rung(channel, notice);
    }
    for (const [channel, count] of counts) {
      metrics.webhooks.inc({ channel, outcome: 'doorbell' }, count);
      onGenuine(channel);
    }
  }

  /** Never rejects. */
  async receive(delivery: RawDelivery): Promise<DeliveryAnswer> {
    try {
      return await this.#receive(delivery);
    } catch (error) {
      const { channel, requestId } = delivery;
      this.#options.log.error({ err: error, channel, requestId }, 'request failed');
      return refusal('INTERNAL_ERROR');
    }
  }

  async #receive({ channel, headers, raw }: RawDelivery): Promise<DeliveryAnswer> {
    const { metrics } = this.#options;
    const connector = this.#options.find(channel);
    if (connector === undefined) {
      this.refused('', 'unknown-channel', 'no such channel');
      return refusal('HTTP_NOT_FOUND');
    }
    const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
    await failpoint('webhook-read');
    const verdict = connector.verifyWebhook(raw, headers);
    if (verdict.kind === 'forged') {
      const hint = raw.length > 0 ? ' (or a proxy changed the raw body)' : '';
      this.refused(channel, 'forged', `${verdict.reason}${hint}`);
      return refusal('WEBHOOK_FORGED');
    }
    const problem =
      verdict.kind === 'malformed'
        ? verdict.reason
        : verdict.isJson === true
          ? undefined
          : jsonProblem(bytes);
    if (verdict.kind === 'malformed' || problem !== undefined) {
      this.refused(channel, 'malformed', problem ?? '');
      return refusal('WEBHOOK_MALFORMED', problem);
    }
    this.#options.onGenuine(channel);
    // Every sale rings one doorbell per line, and so does every write of ours: in the inbox they would stand in front of
    // the orders they come with. A doorbell lost with the process is made up for by the reading at its next start.
    if (verdict.isDoorbell === true && this.#options.ring(channel, raw, headers)) {
      metrics.webhooks.inc({ channel, outcome: 'doorbell' });
      return { kind: 'taken', body: answerOf(connector, verdict, 'accepted'), isStored: false };
    }
    const result = await this.#options.accept({
      channel,
      deliveryId: verdict.deliveryId,
      topic: verdict.topic,
      receivedAtMs: this.#options.nowMs(),
      headers: keptHeaders(headers),
      body: bytes.toString('utf8'),
    });
    await failpoint('inbox-added');
    switch (result.kind) {
      case 'accepted':
      case 'duplicate':
        metrics.webhooks.inc({ channel, outcome: result.kind });
        return { kind: 'taken', body: answerOf(connector, verdict, result.kind), isStored: true };
      case 'full':
        this.refused(channel, 'full', 'the inbox is full');
        return refusal('INBOX_FULL', '', result.retryAfterS);
      case 'unavailable':
        this.refused(channel, 'unavailable', 'the inbox did not confirm');
        return refusal('INBOX_UNAVAILABLE', '', result.retryAfterS);
    }
  }
}

function refusal(code: RefusalCode, reason = '', retryAfterS?: number): DeliveryAnswer {
  return { kind: 'refused', code, reason, retryAfterS };
}

function answerOf(
  { acknowledgement }: Pick<Connector, 'acknowledgement'>,
  { wantsEmptyAnswer }: { wantsEmptyAnswer?: boolean | undefined },
  status: string,
): unknown {
  if (acknowledgement !== undefined) return JSON.parse(acknowledgement) as unknown;
  return wantsEmptyAnswer === true ? undefined : { status };
}
