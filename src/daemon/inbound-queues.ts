import type { Logger } from 'pino';
import type { ChannelConfig } from '../config/configuration.ts';
import { SqsSource } from '../connectors/amazon/sqs-source.ts';
import type { AcceptInbound, InboundSource } from '../connectors/inbound-source.ts';
import type { ChannelId } from '../domain/ids.ts';
import type { AcceptResult } from '../mesh/inbox.ts';
import type { Delivery } from '../mesh/inbox-job.ts';

export interface InboundQueueOptions {
  readonly channels: readonly ChannelConfig[];
  readonly accept: (delivery: Delivery) => Promise<AcceptResult>;
  /** A delivery of this channel arrived: its pushes are alive. */
  readonly onGenuine: (channel: ChannelId) => void;
  /** Ledger clock. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** Starts to fetch what platforms put into queues instead of calling us. Answers how to stop it. */
export function startInboundQueues(options: InboundQueueOptions): { close(): Promise<void> } {
  const sources: InboundSource[] = [];
  for (const channel of options.channels) {
    const source = channel.mode === 'off' ? undefined : sourceOf(channel, options);
    if (source === undefined) continue;
    source.start(acceptorOf(channel.id, options));
    sources.push(source);
  }
  return {
    async close() {
      await Promise.all(sources.map((source) => source.close()));
    },
  };
}

function sourceOf(channel: ChannelConfig, options: InboundQueueOptions): InboundSource | undefined {
  if (channel.platform !== 'amazon' || channel.queue === undefined) return undefined;
  const { url, arn, endpoint, access } = channel.queue;
  return new SqsSource({
    queueUrl: url,
    region: arn.split(':')[3] ?? '',
    endpoint,
    credentials:
      access === undefined
        ? undefined
        : {
            accessKeyId: access.accessKeyId,
            secretAccessKey: access.secretAccessKey.reveal(),
            sessionToken: access.sessionToken?.reveal(),
          },
    clock: { nowMs: options.nowMs },
    log: options.log.child({ channel: channel.id }),
  });
}

/** Resolves only when the delivery is in the inbox; anything else leaves it in the queue for a later try. */
function acceptorOf(channel: ChannelId, options: InboundQueueOptions): AcceptInbound {
  return async ({ deliveryId, topic, headers, body }) => {
    options.onGenuine(channel);
    const receivedAtMs = options.nowMs();
    const result = await options.accept({ channel, deliveryId, topic, receivedAtMs, headers, body });
    if (result.kind !== 'accepted' && result.kind !== 'duplicate')
      throw new Error(`the inbox answers ${result.kind}`);
  };
}
