import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { WebhookHeaders } from '../connectors/connector.ts';
import type { ChannelId } from '../domain/ids.ts';
import { failpoint } from '../telemetry/failpoint.ts';
import type { WebhookOutcome } from './http-metrics.ts';
import { createListener, type ListenerLimits } from './listener.ts';
import { sendProblem } from './problem.ts';

/** A delivery as it came: nothing of it is proven. */
export interface RawDelivery {
  readonly channel: ChannelId;
  /** Of the answer: the log has more under it. */
  readonly requestId: string;
  readonly headers: WebhookHeaders;
  readonly raw: Uint8Array;
}

/** Plain, so that it can be said from one thread to another. */
export type DeliveryAnswer =
  /** `isStored`: the inbox has it; doorbells are answered without. */
  | { readonly kind: 'taken'; readonly body: unknown; readonly isStored: boolean }
  | {
      readonly kind: 'refused';
      readonly code: RefusalCode;
      readonly reason: string;
      readonly retryAfterS?: number | undefined;
    };

export type RefusalCode =
  | 'HTTP_NOT_FOUND'
  | 'WEBHOOK_FORGED'
  | 'WEBHOOK_MALFORMED'
  | 'INBOX_FULL'
  | 'INBOX_UNAVAILABLE'
  | 'INTERNAL_ERROR';

export interface PublicServerOptions {
  readonly limits: ListenerLimits;
  /** The channel of the address; undefined: there is none, or it takes nothing. */
  readonly find: (platform: string, channelId: string) => ChannelId | undefined;
  /** True: a genuine doorbell that says nothing else, of a platform that takes any answer, and it was heard. */
  readonly hear: (delivery: RawDelivery) => boolean;
  /** Everything else. Never rejects. */
  readonly receive: (delivery: RawDelivery) => Promise<DeliveryAnswer>;
  /** Refused before anybody looked at its bytes. */
  readonly refused: (channel: string, outcome: WebhookOutcome, reason: string) => void;
  readonly answered: (tookMs: number) => void;
  readonly log: Pick<Logger, 'error'>;
}

type WebhookRequest = FastifyRequest<{ Params: { platform: string; channelId: string } }>;

/**
 * The public listener: `POST /webhooks/:platform/:channelId[/...]` and nothing else. A delivery is answered 2xx only when
 * it is genuine and durable in the inbox, or a genuine doorbell (ADR 0009); the order of the checks is channel, media
 * type, size, signature, shape, so that nothing is parsed before the bytes are known to be the platform's.
 */
export function createPublicServer(options: PublicServerOptions): FastifyInstance {
  const { refused } = options;
  const app = createListener(options.limits, options.log);

  // The bytes as they came: the signature is over them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const found = new WeakMap<FastifyRequest, ChannelId>();
  /** Answered because the inbox has them. */
  const stored = new WeakSet<FastifyRequest>();

  const admit = async (request: WebhookRequest, reply: FastifyReply): Promise<void> => {
    const { platform, channelId } = request.params;
    const channel = options.find(platform, channelId);
    if (channel === undefined) {
      refused('', 'unknown-channel', 'no such channel');
      await sendProblem(request, reply, 'HTTP_NOT_FOUND', {});
      return;
    }
    found.set(request, channel);
    const problem = mediaProblem(request);
    if (problem !== undefined) {
      refused(channel, 'media-type', problem);
      await sendProblem(request, reply, 'HTTP_MEDIA_TYPE_UNSUPPORTED', { reason: problem });
    }
  };

  const receive = async (request: WebhookRequest, reply: FastifyReply): Promise<void> => {
    const channel = found.get(request);
    if (channel === undefined) throw new Error('the request was not admitted');
    const raw = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const delivery = { channel, requestId: request.id, headers: request.headers, raw };
    if (options.hear(delivery)) {
      await reply.code(200).send({ status: 'accepted' });
      return;
    }
    const answer = await options.receive(delivery);
    if (answer.kind === 'refused') {
      await sendProblem(request, reply, answer.code, { reason: answer.reason }, answer.retryAfterS);
      return;
    }
    if (answer.isStored) stored.add(request);
    await reply.code(200).send(answer.body);
  };

  for (const url of ['/webhooks/:platform/:channelId', '/webhooks/:platform/:channelId/*']) {
    app.post<{ Params: { platform: string; channelId: string } }>(
      url,
      {
        onRequest: admit,
        onResponse: async (request, reply) => {
          options.answered(reply.elapsedTime);
          if (reply.statusCode === 413)
            refused(found.get(request) ?? '', 'too-large', 'the body is too large');
          if (stored.has(request)) await failpoint('webhook-answered');
        },
      },
      receive,
    );
  }
  return app;
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
