import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { ChannelId } from '../domain/ids.ts';
import { type ChannelMode, channelModes } from './channel.ts';

const record = z.object({
  mode: z.enum(channelModes),
  /** What the configuration said then: once it says something else, the override is over. */
  over: z.enum(channelModes),
  actor: z.string(),
  atMs: z.number(),
});
type Override = z.output<typeof record>;

export interface ModeView {
  readonly mode: ChannelMode;
  readonly configured: ChannelMode;
  /** Who changed it by command, and when; null while the configuration counts. */
  readonly changedBy: string | null;
  readonly changedAtMs: number | null;
}

/** Other daemons of the merchant hear of a change within this time. */
const refreshMs = 2_000;

/**
 * The mode of every channel: what the configuration says, or what an operator said since. A command counts until the
 * configuration of the channel says another mode than it did then, in every daemon and over restarts.
 */
export class ChannelModes {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #log: Logger;
  readonly #configured: ReadonlyMap<ChannelId, ChannelMode>;
  readonly #overrides = new Map<ChannelId, Override>();
  readonly #listeners = new Set<(channel: ChannelId) => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: Redis, key: string, configured: ReadonlyMap<ChannelId, ChannelMode>, log: Logger) {
    this.#redis = redis;
    this.#key = key;
    this.#configured = configured;
    this.#log = log;
  }

  /** Reads what was said before, and listens from then on. */
  async start(): Promise<void> {
    await this.#refresh();
    const again = (): void => {
      this.#timer = setTimeout(() => {
        this.#refresh()
          .catch((error: unknown) => this.#log.debug({ err: error }, 'modes were not read'))
          .finally(() => this.#timer !== undefined && again());
      }, refreshMs);
    };
    again();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  of(channel: ChannelId): ChannelMode {
    return this.#overrides.get(channel)?.mode ?? this.#configuredOf(channel);
  }

  view(channel: ChannelId): ModeView | undefined {
    const configured = this.#configured.get(channel);
    if (configured === undefined) return undefined;
    const { actor, atMs } = this.#overrides.get(channel) ?? {};
    return {
      mode: this.of(channel),
      configured,
      changedBy: actor ?? null,
      changedAtMs: atMs ?? null,
    };
  }

  /** Durable before it counts. */
  async set(channel: ChannelId, mode: ChannelMode, actor: string): Promise<void> {
    const over = this.#configuredOf(channel);
    if (mode === over) await this.#redis.hdel(this.#key, channel);
    else {
      const override: Override = { mode, over, actor, atMs: Date.now() };
      await this.#redis.hset(this.#key, channel, JSON.stringify(override));
    }
    await this.#refresh();
  }

  /** Told after the mode has changed. It must not throw. */
  onChanged(listener: (channel: ChannelId) => void): void {
    this.#listeners.add(listener);
  }

  async #refresh(): Promise<void> {
    const stored = await this.#redis.hgetall(this.#key);
    for (const [channel, configured] of this.#configured) {
      const before = this.of(channel);
      const override = readOverride(stored[channel]);
      if (override === undefined || override.over !== configured) this.#overrides.delete(channel);
      else this.#overrides.set(channel, override);
      const mode = this.of(channel);
      if (mode === before) continue;
      this.#log.warn({ channel, mode, before, by: override?.actor }, 'the mode of the channel changed');
      for (const listener of this.#listeners) listener(channel);
    }
  }

  #configuredOf(channel: ChannelId): ChannelMode {
    return this.#configured.get(channel) ?? 'off';
  }
}

function readOverride(text: string | undefined): Override | undefined {
  return text === undefined ? undefined : record.safeParse(JSON.parse(text)).data;
}
