import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { ChannelId } from '../domain/ids.ts';
import { HttpMetrics } from '../http/http-metrics.ts';
import { defaultListenerLimits } from '../http/listener.ts';
import type { PublicServerOptions } from '../http/public-server.ts';
import type { Ingest, IngestChannel } from '../mesh/ingest.ts';
import type { Redactor } from '../telemetry/redactor.ts';
import type { DaemonParts } from './private-ports.ts';

export interface PublicPorts {
  readonly parts: DaemonParts;
  readonly channels: ReadonlyMap<ChannelId, IngestChannel>;
  readonly ingest: Ingest;
  readonly maxBodyBytes: number;
  readonly redactor: Redactor;
  readonly registry: Registry;
  readonly log: Logger;
}

/** The running daemon behind the public listener. */
export function publicPorts(options: PublicPorts): PublicServerOptions {
  const { parts, channels, ingest, redactor } = options;
  return {
    limits: { ...defaultListenerLimits, maxBodyBytes: options.maxBodyBytes },
    find: (platform, channelId) => {
      const channel = channels.get(channelId as ChannelId);
      if (channel === undefined || channel.map.settings.platform !== platform) return undefined;
      if (channel.map.settings.mode === 'off') return undefined;
      return { channel: channelId as ChannelId, connector: channel.connector };
    },
    accept: ({ headers, ...delivery }) => {
      // Where a fixed header is the proof of a delivery, it is a credential and no business of the inbox.
      const clean = Object.entries(headers).map(([name, value]) => [name, redactor.scrub(value)]);
      return parts.inbox.accept({ ...delivery, headers: Object.fromEntries(clean) });
    },
    ring: (channel, raw, headers) => ingest.ring(channel, raw, headers),
    onGenuine: (channel) => {
      parts.states.webhookSeen(channel, Date.now());
      parts.channels.find(({ id }) => id === channel)?.publishing.pushSeen();
    },
    nowMs: () => parts.ledger.ledger.nowMs(),
    metrics: new HttpMetrics(options.registry),
    log: options.log,
  };
}
