import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { ChannelId } from '../domain/ids.ts';
import type { ChannelMode, ChannelSettings } from './channel.ts';

/** What a person must do before the channel works again. */
export interface Attention {
  readonly reason: string;
  readonly sinceMs: number;
}

export interface ChannelView {
  readonly channel: ChannelId;
  readonly platform: string;
  readonly mode: ChannelMode;
  readonly status: 'off' | 'connecting' | 'ok' | 'needs-attention';
  readonly attention: Attention | undefined;
  readonly lastWebhookAtMs: number | undefined;
  readonly lastPollAtMs: number | undefined;
  readonly listings: number;
}

const record = z.object({
  attention: z.object({ reason: z.string(), sinceMs: z.number() }).optional(),
  lastWebhookAtMs: z.number().optional(),
  lastPollAtMs: z.number().optional(),
});
type ChannelRecord = z.output<typeof record>;

/** Freshness is written this often at most: it is a fact for people, not a cursor. */
const writeEveryMs = 1_000;

/**
 * What is known about each channel as a whole; shared through Redis so that every daemon, and the next one, shows it.
 *
 *   connecting --listings known--> ok --access lost, key refused--> needs attention --access checked again--> ok
 *
 * A channel that needs attention takes orders in as far as it can and publishes nothing.
 */
export class ChannelStates {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #log: Logger;
  readonly #channels = new Map<
    ChannelId,
    { settings: ChannelSettings; state: ChannelRecord; listings: number }
  >();
  readonly #connected = new Set<ChannelId>();
  readonly #unwritten = new Set<ChannelId>();
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis, key: string, channels: readonly ChannelSettings[], log: Logger) {
    this.#redis = redis;
    this.#key = key;
    this.#log = log;
    for (const settings of channels) this.#channels.set(settings.id, { settings, state: {}, listings: 0 });
  }

  async load(): Promise<void> {
    for (const [channel, text] of Object.entries(await this.#redis.hgetall(this.#key))) {
      const known = this.#channels.get(channel as ChannelId);
      const parsed = record.safeParse(JSON.parse(text));
      if (known !== undefined && parsed.success) known.state = parsed.data;
    }
  }

  /** The channel works and its listings are known. Whether writes are sent or only computed is the mode's matter. */
  mayPublish(channel: ChannelId): boolean {
    return this.view(channel)?.status === 'ok';
  }

  webhookSeen(channel: ChannelId, atMs: number): void {
    this.#change(channel, { lastWebhookAtMs: atMs });
  }

  pollSeen(channel: ChannelId, atMs: number): void {
    this.#change(channel, { lastPollAtMs: atMs });
  }

  connected(channel: ChannelId, listings: number): void {
    this.#connected.add(channel);
    const known = this.#channels.get(channel);
    if (known !== undefined) known.listings = listings;
  }

  needsAttention(channel: ChannelId, reason: string): void {
    const known = this.#channels.get(channel);
    if (known === undefined || known.state.attention?.reason === reason) return;
    this.#log.error({ channel, reason }, 'the channel needs attention; nothing is published to it');
    this.#change(channel, { attention: { reason: oneLine(reason), sinceMs: Date.now() } });
  }

  attentionOver(channel: ChannelId): void {
    const known = this.#channels.get(channel);
    if (known?.state.attention === undefined) return;
    this.#log.info({ channel, was: known.state.attention.reason }, 'the channel works again');
    this.#change(channel, { attention: undefined });
  }

  view(channel: ChannelId): ChannelView | undefined {
    const known = this.#channels.get(channel);
    if (known === undefined) return undefined;
    const { settings, state, listings } = known;
    let status: ChannelView['status'] = this.#connected.has(channel) ? 'ok' : 'connecting';
    if (state.attention !== undefined) status = 'needs-attention';
    if (settings.mode === 'off') status = 'off';
    return {
      channel,
      platform: settings.platform,
      mode: settings.mode,
      status,
      attention: state.attention,
      lastWebhookAtMs: state.lastWebhookAtMs,
      lastPollAtMs: state.lastPollAtMs,
      listings,
    };
  }

  views(): readonly ChannelView[] {
    return [...this.#channels.keys()].flatMap((channel) => this.view(channel) ?? []);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const fields = [...this.#unwritten].flatMap((channel) => {
      const known = this.#channels.get(channel);
      return known === undefined ? [] : [channel, JSON.stringify(known.state)];
    });
    this.#unwritten.clear();
    if (fields.length === 0) return;
    try {
      await this.#redis.hset(this.#key, ...fields);
    } catch (error) {
      this.#log.warn({ err: error }, 'channel states were not written; the next change writes them');
    }
  }

  #change(channel: ChannelId, change: Partial<ChannelRecord>): void {
    const known = this.#channels.get(channel);
    if (known === undefined) return;
    known.state = { ...known.state, ...change };
    this.#unwritten.add(channel);
    this.#timer ??= setTimeout(() => void this.flush(), writeEveryMs);
  }
}

/** Reasons come from platforms; one plain line, bounded. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 300);
}
