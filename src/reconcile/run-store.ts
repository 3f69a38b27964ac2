import type { ChannelId } from '../domain/ids.ts';
import type { Records } from '../mesh/kept-records.ts';
import { type Run, type RunRequest, runRecord, runRequestRecord } from './run.ts';
import { timePart } from './time-id.ts';

export interface RunStoreOptions {
  readonly runs: Records;
  /** One per channel: what was asked for and has not ended. */
  readonly requests: Records;
  readonly nowMs: () => number;
  readonly keepRuns: number;
  readonly keepMs: number;
  /** A run is over. It must not throw. */
  readonly onEnded?: ((run: Run) => void) | undefined;
}

/** Runs of all channels, newest first, and the requests for runs, as every daemon of the merchant sees them. */
export class RunStore {
  readonly #options: RunStoreOptions;

  constructor(options: RunStoreOptions) {
    this.#options = options;
  }

  async save(run: Run): Promise<void> {
    await this.#options.runs.put(run.id, JSON.stringify(run));
    if (run.state !== 'running') this.#options.onEnded?.(run);
  }

  async drop(id: string): Promise<void> {
    await this.#options.runs.drop([id]);
  }

  async run(id: string): Promise<Run | undefined> {
    return readRun(await this.#options.runs.get(id));
  }

  /** Newest first. `before`: only runs with a smaller id. */
  async list(
    limit: number,
    filter: { readonly channel?: ChannelId | undefined; readonly before?: string | undefined } = {},
  ): Promise<readonly Run[]> {
    const found: Run[] = [];
    for await (const page of this.#options.runs.all()) {
      for (const [id, text] of page) {
        if (filter.before !== undefined && id >= filter.before) continue;
        const run = readRun(text);
        if (run !== undefined && (filter.channel === undefined || run.channel === filter.channel))
          found.push(run);
      }
    }
    return found.toSorted((a, b) => (a.id < b.id ? 1 : -1)).slice(0, limit);
  }

  async trim(): Promise<number> {
    const { runs, keepRuns, keepMs, nowMs } = this.#options;
    return runs.trim(keepRuns, timePart(nowMs() - keepMs));
  }

  /** Asks the daemon that holds the channel; a request that waits already answers instead. */
  async ask(channel: ChannelId, request: RunRequest): Promise<RunRequest> {
    if (await this.#options.requests.add(channel, JSON.stringify(request))) return request;
    return (await this.asked(channel)) ?? request;
  }

  async asked(channel: ChannelId): Promise<RunRequest | undefined> {
    const text = await this.#options.requests.get(channel);
    if (text === undefined) return undefined;
    const parsed = runRequestRecord.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    await this.#options.requests.drop([channel]);
    return undefined;
  }

  async ended(channel: ChannelId, runId: string): Promise<void> {
    const waiting = await this.asked(channel);
    if (waiting?.runId === runId) await this.#options.requests.drop([channel]);
  }
}

function readRun(text: string | undefined): Run | undefined {
  if (text === undefined) return undefined;
  const parsed = runRecord.safeParse(JSON.parse(text));
  return parsed.success ? (parsed.data as unknown as Run) : undefined;
}
