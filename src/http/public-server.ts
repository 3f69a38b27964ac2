import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Connector, WebhookHeaders } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { AcceptResult } from '../mesh/inbox.ts';
import { type Delivery, keptHeaders } from '../mesh/inbox-job.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import type { HttpMetrics, WebhookOutcome } from './http-metrics.ts';
import { jsonProblem } from './json-shape.ts';
import { createListener, type ListenerLimits } from './listener.ts';
import { sendProblem } from './problem.ts';

export interface WebhookChannel {
  readonly channel: ChannelId;
  readonly connector: Pick<Connector, 'verifyWebhook' | 'acknowledgement'>;
}

export interface PublicServerOptions {
  readonly limits: ListenerLimits;
  readonly find: (platform: string, channelId: string) => WebhookChannel | undefined;
  readonly accept: (delivery: Delivery) => Promise<AcceptResult>;
  /** Tells who reads what a doorbell names. False: the body says more than that, so it has to be stored. */
  readonly ring: (channel: ChannelId, raw: Uint8Array, headers: WebhookHeaders) => boolean;
  /** A genuine delivery arrived: pushes of this channel are alive. */
  readonly onGenuine: (channel: ChannelId) => void;
  /** Ledger clock. */
  readonly nowMs: () => number;
  readonly metrics: HttpMetrics;
  readonly log: Logger;
}

type WebhookRequest = FastifyRequest<{ Params: { platform: string; channelId: string } }>;

/** Forgeries come in floods; one line per channel and second tells enough. */
const logEveryMs = 1_000;

/**
 * The public listener: `POST /webhooks/:platform/:channelId[/...]` and nothing else. A delivery is answered 2xx only when
 * it is genuine and durable in the inbox; the order of the checks is channel, media type, size, signature, shape, so that
 * nothing is parsed before the bytes are known to be the platform's.
 */
export function createPublicServer(options: PublicServerOptions): FastifyInstance {
  const { metrics, log } = options;
  const app = createListener(options.limits, log);
  const quietUntil = new Map<string, number>();

  const refuse = (channel: string, outcome: WebhookOutcome, reason: string): void => {
    metrics.webhooks.inc({ channel, outcome });
    const key = `${channel} ${outcome}`;
    const nowMs = performance.now();
    if (nowMs < (quietUntil.get(key) ?? 0)) return;
    quietUntil.set(key, nowMs + logEveryMs);
    log.warn({ channel, outcome, reason }, 'delivery refused');
  };

  // The bytes as they came: the signature is over them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const found = new WeakMap<FastifyRequest, WebhookChannel>();
  /** Answered because the inbox has them; doorbells are answered without. */
  const stored = new WeakSet<FastifyRequest>();

  const admit = async (request: WebhookRequest, reply: FastifyReply): Promise<void> => {
    const { platform, channelId } = request.params;
    const target = options.find(platform, channelId);
    if (target === undefined) {
      refuse('', 'unknown-channel', 'no such channel');
      await sendProblem(request, reply, 'HTTP_NOT_FOUND', {});
      return;
    }
    found.set(request, target);
    const problem = mediaProblem(request);
    if (problem !== undefined) {
      refuse(target.channel, 'media-type', problem);
      await sendProblem(request, reply, 'HTTP_MEDIA_TYPE_UNSUPPORTED', { reason: problem });
    }
  };

  const receive = async (request: WebhookRequest, reply: FastifyReply): Promise<void> => {
    const target = found.get(request);
    if (target === undefined) throw new Error('the request was not admitted');
    const { channel, connector } = target;
    const raw = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    await failpoint('webhook-read');
    const verdict = connector.verifyWebhook(raw, request.headers);
    if (verdict.kind === 'forged') {
      const hint = raw.length > 0 ? ' (or a proxy changed the raw body)' : '';
      refuse(channel, 'forged', `${verdict.reason}${hint}`);
      await sendProblem(request, reply, 'WEBHOOK_FORGED', {});
      return;
    }
    const problem =
      verdict.kind === 'malformed' ? verdict.reason : verdict.isJson === true ? undefined : jsonProblem(raw);
    if (verdict.kind === 'malformed' || problem !== undefined) {
      refuse(channel, 'malformed', problem ?? '');
      await sendProblem(request, reply, 'WEBHOOK_MALFORMED', { reason: problem ?? '' });
      return;
    }
    options.onGenuine(channel);
    // Every sale rings one doorbell per line, and so does every write of ours: in the inbox they would stand in front of
    // the orders they come with. A doorbell lost with the process is made up for by the reading at its next start.
    if (verdict.isDoorbell === true && options.ring(channel, raw, request.headers)) {
      metrics.webhooks.inc({ channel, outcome: 'doorbell' });
      await reply.code(200).send(answerOf(connector, verdict, 'accepted'));
      return;
    }
    const result = await options.accept({
      channel,
      deliveryId: verdict.deliveryId,
      topic: verdict.topic,
      receivedAtMs: options.nowMs(),
      headers: keptHeaders(request.headers),
      body: raw.toString('utf8'),
    });
    await failpoint('inbox-added');
    switch (result.kind) {
      case 'accepted':
      case 'duplicate':
        metrics.webhooks.inc({ channel, outcome: result.kind });
        stored.add(request);
        await reply.code(200).send(answerOf(connector, verdict, result.kind));
        return;
      case 'full':
        refuse(channel, 'full', 'the inbox is full');
        await sendProblem(request, reply, 'INBOX_FULL', {}, result.retryAfterS);
        return;
      case 'unavailable':
        refuse(channel, 'unavailable', 'the inbox did not confirm');
        await sendProblem(request, reply, 'INBOX_UNAVAILABLE', {}, result.retryAfterS);
    }
  };

  for (const url of ['/webhooks/:platform/:channelId', '/webhooks/:platform/:channelId/*']) {
    app.post<{ Params: { platform: string; channelId: string } }>(
      url,
      {
        onRequest: admit,
        onResponse: async (request, reply) => {
          metrics.webhookSeconds.observe(reply.elapsedTime / 1_000);
          if (reply.statusCode === 413)
            refuse(found.get(request)?.channel ?? '', 'too-large', 'the body is too large');
          if (stored.has(request)) await failpoint('webhook-answered');
        },
      },
      receive,
    );
  }
  return app;
}

function answerOf(
  { acknowledgement }: Pick<Connector, 'acknowledgement'>,
  { wantsEmptyAnswer }: { wantsEmptyAnswer?: boolean | undefined },
  status: string,
): unknown {
  if (acknowledgement !== undefined) return JSON.parse(acknowledgement) as unknown;
  return wantsEmptyAnswer === true ? undefined : { status };
}

/** Signatures are over the uncompressed body; a compressed one was changed on its way. */
function mediaProblem(request: FastifyRequest): string | undefined {
  const type = request.headers['content-type'];
  if (type === undefined) return 'the content type is missing';
  if (!/^application\/(?:[a-z0-9.+-]+\+)?json(?:\s*;.*)?$/i.test(type))
    return 'only application/json is accepted';
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    return 'the body must not be compressed';
  return undefined;
}
