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
  /** When a poll last brought what no push had brought. */
  readonly lastFoundByPollAtMs: number | undefined;
  /** Who opened the circuit by hand. */
  readonly heldOpenBy: string | undefined;
  readonly listings: number;
}

/** A person keeps the circuit open, or closed it by hand. */
export interface HandOnCircuit {
  readonly state: 'open' | 'closed';
  readonly actor: string;
  readonly atMs: number;
}

/** What all daemons of the merchant know of a channel: one field each, so that none writes over what another learnt. */
const facts = z.object({
  attention: z.object({ reason: z.string(), sinceMs: z.number() }).optional(),
  webhook: z.number().optional(),
  poll: z.number().optional(),
  found: z.number().optional(),
  hand: z.object({ state: z.enum(['open', 'closed']), actor: z.string(), atMs: z.number() }).optional(),
});
type Facts = z.output<typeof facts>;
type FactName = keyof Facts;
const factNames = ['attention', 'webhook', 'poll', 'found', 'hand'] as const satisfies readonly FactName[];

/** Freshness is written this often at most: it is a fact for people, not a cursor. */
const writeEveryMs = 1_000;
/** Other daemons of the merchant hear of a change within this time. */
const refreshMs = 2_000;

/**
 * What is known about each channel as a whole; shared through Redis so that every daemon, and the next one, shows it.
 *
 *   connecting --listings known--> ok --access lost, key refused--> needs attention --access checked again--> ok
 *
 * A channel that needs attention takes orders in as far as it can and publishes nothing, from whichever daemon.
 */
export class ChannelStates {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #log: Logger;
  readonly #channels = new Map<ChannelId, { settings: ChannelSettings; state: Facts; listings: number }>();
  readonly #connected = new Set<ChannelId>();
  /** By field, the number of its last change: what is being written is not written yet. */
  readonly #unwritten = new Map<string, number>();
  #changes = 0;
  readonly #handListeners = new Set<(channel: ChannelId, hand: HandOnCircuit) => void>();
  #timer: NodeJS.Timeout | undefined;
  #refreshTimer: NodeJS.Timeout | undefined;

  constructor(redis: Redis, key: string, channels: readonly ChannelSettings[], log: Logger) {
    this.#redis = redis;
    this.#key = key;
    this.#log = log;
    for (const settings of channels) this.#channels.set(settings.id, { settings, state: {}, listings: 0 });
  }

  async load(): Promise<void> {
    const stored = await this.#redis.hgetall(this.#key);
    for (const [channel, known] of this.#channels) {
      const read = Object.fromEntries(
        factNames.flatMap((name) => {
          const text = stored[fieldOf(channel, name)];
          return text === undefined ? [] : [[name, JSON.parse(text) as unknown]];
        }),
      );
      const parsed = facts.safeParse(read);
      if (!parsed.success) continue;
      const handBefore = known.state.hand;
      const next: Facts = { ...parsed.data };
      // What this daemon has not told yet is newer than what is stored.
      for (const name of factNames) {
        if (!this.#unwritten.has(fieldOf(channel, name))) continue;
        Object.assign(next, { [name]: known.state[name] });
      }
      known.state = next;
      const { hand } = next;
      if (hand !== undefined && hand.atMs !== handBefore?.atMs)
        for (const listener of this.#handListeners) listener(channel, hand);
    }
  }

  /** Hears what other daemons write, until `close`. */
  follow(): void {
    this.#refreshTimer = setInterval(() => {
      this.load().catch((error: unknown) => this.#log.debug({ err: error }, 'channel states were not read'));
    }, refreshMs);
  }

  async close(): Promise<void> {
    clearInterval(this.#refreshTimer);
    await this.flush();
  }

  /** Told of every opening and closing by hand, also of one that was said before this daemon lived. */
  onHand(listener: (channel: ChannelId, hand: HandOnCircuit) => void): void {
    this.#handListeners.add(listener);
    for (const [channel, { state }] of this.#channels) {
      if (state.hand?.state === 'open') listener(channel, state.hand);
    }
  }

  /** Durable before it counts; every daemon follows within seconds. */
  async setHand(channel: ChannelId, hand: HandOnCircuit): Promise<void> {
    await this.#redis.hset(this.#key, fieldOf(channel, 'hand'), JSON.stringify(hand));
    await this.load();
  }

  hand(channel: ChannelId): HandOnCircuit | undefined {
    return this.#channels.get(channel)?.state.hand;
  }

  /** The channel works and its listings are known. Whether writes are sent or only computed is the mode's matter. */
  mayPublish(channel: ChannelId): boolean {
    return this.view(channel)?.status === 'ok';
  }

  webhookSeen(channel: ChannelId, atMs: number): void {
    this.#change(channel, 'webhook', atMs);
  }

  pollSeen(channel: ChannelId, atMs: number): void {
    this.#change(channel, 'poll', atMs);
  }

  /** A poll brought orders: without pushes in between, something is wrong with the pushes. */
  pollFound(channel: ChannelId, atMs: number): void {
    this.#change(channel, 'found', atMs);
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
    this.#change(channel, 'attention', { reason: oneLine(reason), sinceMs: Date.now() });
  }

  attentionOver(channel: ChannelId): void {
    const known = this.#channels.get(channel);
    if (known?.state.attention === undefined) return;
    this.#log.info({ channel, was: known.state.attention.reason }, 'the channel works again');
    this.#change(channel, 'attention', undefined);
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
      lastWebhookAtMs: state.webhook,
      lastPollAtMs: state.poll,
      lastFoundByPollAtMs: state.found,
      heldOpenBy: state.hand?.state === 'open' ? state.hand.actor : undefined,
      listings,
    };
  }

  views(): readonly ChannelView[] {
    return [...this.#channels.keys()].flatMap((channel) => this.view(channel) ?? []);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const changed = new Map(this.#unwritten);
    if (changed.size === 0) return;
    const set: string[] = [];
    const gone: string[] = [];
    for (const [channel, { state }] of this.#channels) {
      for (const name of factNames) {
        const field = fieldOf(channel, name);
        if (!changed.has(field)) continue;
        if (state[name] === undefined) gone.push(field);
        else set.push(field, JSON.stringify(state[name]));
      }
    }
    try {
      if (set.length > 0) await this.#redis.hset(this.#key, ...set);
      if (gone.length > 0) await this.#redis.hdel(this.#key, ...gone);
      for (const [field, change] of changed)
        if (this.#unwritten.get(field) === change) this.#unwritten.delete(field);
    } catch (error) {
      this.#log.warn({ err: error }, 'channel states were not written; the next change writes them');
    }
  }

  #change<Name extends FactName>(channel: ChannelId, name: Name, value: Facts[Name]): void {
    const known = this.#channels.get(channel);
    if (known === undefined) return;
    known.state = { ...known.state, [name]: value };
    this.#unwritten.set(fieldOf(channel, name), ++this.#changes);
    this.#timer ??= setTimeout(() => void this.flush(), writeEveryMs);
  }
}

/** A channel id holds no slash. */
function fieldOf(channel: ChannelId, name: FactName): string {
  return `${channel}/${name}`;
}

/** Reasons come from platforms; one plain line, bounded. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 300);
}
