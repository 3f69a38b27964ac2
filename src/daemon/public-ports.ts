import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { ChannelId } from '../domain/ids.ts';
import { HttpMetrics } from '../http/http-metrics.ts';
import type { ReceptionOptions } from '../http/reception.ts';
import type { Ingest, IngestChannel } from '../mesh/ingest.ts';
import type { Redactor } from '../telemetry/redactor.ts';
import type { DaemonParts } from './private-ports.ts';
import { addressOf, type OpenAddresses } from './webhook-thread/messages.ts';

export interface PublicPorts {
  readonly parts: DaemonParts;
  readonly channels: ReadonlyMap<ChannelId, IngestChannel>;
  readonly ingest: Ingest;
  readonly redactor: Redactor;
  readonly registry: Registry;
  readonly log: Logger;
}

/** The running daemon behind the public listener. */
export function publicPorts(options: PublicPorts): ReceptionOptions {
  const { parts, channels, ingest, redactor } = options;
  return {
    find: (channelId) => {
      const channel = channels.get(channelId);
      return channel === undefined || isOff(channel) ? undefined : channel.connector;
    },
    accept: ({ headers, ...delivery }) => {
      // Where a fixed header is the proof of a delivery, it is a credential and no business of the inbox.
      const clean = Object.entries(headers).map(([name, value]) => [name, redactor.scrub(value)]);
      return parts.inbox.accept({ ...delivery, headers: Object.fromEntries(clean) });
    },
    ring: (channel, raw, headers) => ingest.ring(channel, raw, headers),
    rung: (channel, notice) => ingest.rung(channel, notice),
    onGenuine: (channel) => {
      parts.states.webhookSeen(channel, Date.now());
      parts.channels.find(({ id }) => id === channel)?.publishing.pushSeen();
    },
    nowMs: () => parts.ledger.ledger.nowMs(),
    metrics: new HttpMetrics(options.registry),
    log: options.log,
  };
}

/** Where deliveries are taken now. */
export function openAddresses(channels: ReadonlyMap<ChannelId, IngestChannel>): OpenAddresses {
  const open = [...channels].filter(([, channel]) => !isOff(channel));
  return new Map(open.map(([id, { map }]) => [addressOf(map.settings.platform, id), id]));
}

function isOff({ map }: IngestChannel): boolean {
  return map.settings.mode === 'off';
}
