import type { ChannelId } from '../domain/ids.ts';
import type { RecordCommands } from '../ledger/record-commands.ts';
import type { Records } from '../mesh/kept-records.ts';
import { type Run, type RunRequest, runRecord, runRequestRecord } from './run.ts';
import { timePart } from './time-id.ts';

export interface RunStoreOptions {
  readonly runs: Records;
  /** One per channel: what was asked for and has not ended. */
  readonly requests: Pick<RecordCommands, 'one' | 'swap'>;
  readonly nowMs: () => number;
  readonly keepRuns: number;
  readonly keepMs: number;
  /** A run is over. It must not throw. */
  readonly onEnded?: ((run: Run) => void) | undefined;
}

const requestKind = 'reconcile:requests';
/** Of daemons that ask at once, each finds another's request within as many looks. */
const maxTries = 8;

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

  /** Asks the daemon that holds the channel; a request that waits already, or is being read, answers instead. */
  async ask(channel: ChannelId, request: RunRequest): Promise<RunRequest> {
    for (let attempt = 1; attempt <= maxTries; attempt++) {
      const text = await this.#requestText(channel);
      const waiting = readRequest(text);
      // A run's end is kept a moment before its request is dropped: who asks in between asks for another run.
      if (waiting !== undefined && !(await this.#isOver(waiting))) return waiting;
      if (await this.#swap(channel, text, JSON.stringify(request))) return request;
    }
    return (await this.asked(channel)) ?? request;
  }

  async asked(channel: ChannelId): Promise<RunRequest | undefined> {
    return readRequest(await this.#requestText(channel));
  }

  async ended(channel: ChannelId, runId: string): Promise<void> {
    const text = await this.#requestText(channel);
    if (readRequest(text)?.runId === runId) await this.#swap(channel, text, undefined);
  }

  async #isOver({ runId }: RunRequest): Promise<boolean> {
    const run = await this.run(runId);
    return run !== undefined && run.state !== 'running';
  }

  #requestText(channel: ChannelId): Promise<string | undefined> {
    return this.#options.requests.one(requestKind, channel);
  }

  #swap(channel: ChannelId, from: string | undefined, to: string | undefined): Promise<boolean> {
    return this.#options.requests.swap(requestKind, channel, from, to);
  }
}

/** One that cannot be read is as good as none: the next takes its place. */
function readRequest(text: string | undefined): RunRequest | undefined {
  if (text === undefined) return undefined;
  const parsed = runRequestRecord.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : undefined;
}

function readRun(text: string | undefined): Run | undefined {
  if (text === undefined) return undefined;
  const parsed = runRecord.safeParse(JSON.parse(text));
  return parsed.success ? (parsed.data as unknown as Run) : undefined;
}
