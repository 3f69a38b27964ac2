import type { Logger } from 'pino';
import type { Config } from '../config/configuration.ts';
import type { ChannelId, Sku } from '../domain/ids.ts';
import type { MappingPorts } from '../http/routes/mapping-routes.ts';
import type { MappingDecisions } from '../mesh/mapping-decisions.ts';
import { mappingRow, mappingRows } from '../mesh/mapping-table.ts';
import type { SkuMap } from '../mesh/sku-map.ts';
import type { ChannelPart } from './channel-part.ts';

export interface MappingPartOptions {
  readonly config: Config;
  readonly channels: readonly { readonly part: ChannelPart; readonly map: SkuMap }[];
  readonly decisions: MappingDecisions;
  /** The ledger has a level of it, or the catalogue names it. */
  readonly isKnown: (sku: Sku) => boolean;
  readonly log: Logger;
}

/** Pages of a first reading come in swarms. */
const relearnAfterMs = 250;

/** Maps that learn from each other, and what a person says of them. */
export class MappingPart {
  readonly ports: MappingPorts;
  readonly #channels: MappingPartOptions['channels'];
  readonly #log: Logger;
  readonly #due = new Map<ChannelId, 'open' | 'all'>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor({ config, channels, decisions, isKnown, log }: MappingPartOptions) {
    this.#channels = channels.filter(({ part }) => part.counting === undefined);
    this.#log = log;
    const mapOf = (channel: string): SkuMap | undefined =>
      this.#channels.find(({ part }) => part.id === channel)?.map;
    const reference = config.catalogue.skusFrom;
    const someoneLists = (sku: Sku): boolean =>
      reference === undefined
        ? this.#channels.some(({ map }) => map.hasSku(sku))
        : mapOf(reference)?.hasSku(sku) === true;
    decisions.onChanged((changed) => {
      for (const channel of changed) this.#relearn(channel, 'all', 0);
    });
    this.ports = {
      rows: (show, channel) =>
        this.#channels
          .filter(({ part }) => channel === undefined || part.id === channel)
          .flatMap(({ map }) => mappingRows(map, show)),
      world: {
        hasChannel: (channel) => mapOf(channel) !== undefined,
        rowOf(channel, item) {
          const map = mapOf(channel);
          return map === undefined ? undefined : mappingRow(map, item);
        },
        aliasOf: (channel, platformSku) => mapOf(channel)?.settings.aliases.get(platformSku),
        isKnown: (sku) => someoneLists(sku) || isKnown(sku),
        itemsOf: (channel, sku) =>
          (mapOf(channel)?.ofSku(sku) ?? []).map(({ ref }) => ref.itemId).filter(isFirst),
      },
      apply: (changes, actor) => decisions.apply(changes, actor),
    };
  }

  /** A channel learnt something: what others could not tell may be clear now. */
  learned(channel: ChannelId): void {
    for (const { part } of this.#channels)
      if (part.id !== channel) this.#relearn(part.id, 'open', relearnAfterMs);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#due.clear();
    await this.#running;
  }

  #relearn(channel: ChannelId, which: 'open' | 'all', afterMs: number): void {
    if (this.#due.get(channel) !== 'all') this.#due.set(channel, which);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#running.then(() => this.#relearnAll());
    }, afterMs);
  }

  async #relearnAll(): Promise<void> {
    const due = [...this.#due];
    this.#due.clear();
    for (const [channel, which] of due) {
      const part = this.#channels.find((one) => one.part.id === channel)?.part;
      await part?.relearn(which).catch((error: unknown) => {
        this.#log.warn({ channel, err: error }, 'the mapping was not judged again; the next reading does');
      });
    }
  }
}

function isFirst(item: string, index: number, all: readonly string[]): boolean {
  return all.indexOf(item) === index;
}
