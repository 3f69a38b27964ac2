import type { ChannelId, ListingId, Sku } from '../domain/ids.ts';
import type { DriftVerdict } from '../domain/verdict.ts';
import type { Records } from '../mesh/kept-records.ts';
import { type Finding, findingRecord, subjectOf } from './finding.ts';
import { timePart } from './time-id.ts';

export interface FindingStoreOptions {
  /** Subject -> finding. */
  readonly open: Records;
  /** Finding id -> finding. */
  readonly closed: Records;
  readonly nowMs: () => number;
  readonly maxOpen: number;
  readonly keepClosed: number;
  readonly keepMs: number;
}

export interface FindingFilter {
  readonly channel?: ChannelId | undefined;
  readonly sku?: Sku | undefined;
  readonly verdict?: DriftVerdict | undefined;
  readonly runId?: string | undefined;
  /** Only findings with a smaller id. */
  readonly before?: string | undefined;
}

/**
 * Findings: the open ones by subject, so that one difference is one finding however many runs see it, and the resolved
 * ones by id, for as long as reports are kept.
 */
export class FindingStore {
  readonly #options: FindingStoreOptions;
  #openCount: number | undefined;

  constructor(options: FindingStoreOptions) {
    this.#options = options;
  }

  async openOf(subject: string): Promise<Finding | undefined> {
    return readFinding(await this.#options.open.get(subject));
  }

  /** `full`: there are too many open findings; what is wrong is then wrong with the whole channel. */
  async save(finding: Finding): Promise<'saved' | 'full'> {
    const { open, closed, maxOpen } = this.#options;
    const subject = subjectOf(finding);
    if (finding.state === 'resolved') {
      // Written before the other is dropped: a crash in between shows it twice, never not at all.
      await closed.put(finding.id, JSON.stringify(finding));
      if ((await this.openOf(subject))?.id === finding.id) {
        await open.drop([subject]);
        this.#openCount = undefined;
      }
      return 'saved';
    }
    if ((await open.get(subject)) === undefined) {
      if ((await this.countOpen()) >= maxOpen) return 'full';
      this.#openCount = (this.#openCount ?? 0) + 1;
    }
    await open.put(subject, JSON.stringify(finding));
    return 'saved';
  }

  async countOpen(): Promise<number> {
    if (this.#openCount === undefined) {
      let count = 0;
      for await (const page of this.#options.open.all()) count += page.length;
      this.#openCount = count;
    }
    return this.#openCount;
  }

  /** Newest first. */
  listOpen(limit: number, filter: FindingFilter = {}): Promise<readonly Finding[]> {
    this.#openCount = undefined;
    return list(this.#options.open, limit, filter);
  }

  listClosed(limit: number, filter: FindingFilter = {}): Promise<readonly Finding[]> {
    return list(this.#options.closed, limit, filter);
  }

  /** Open or closed. */
  async finding(id: string): Promise<Finding | undefined> {
    for await (const page of this.#options.open.all()) {
      for (const [, text] of page) {
        const finding = readFinding(text);
        if (finding?.id === id) return finding;
      }
    }
    return readFinding(await this.#options.closed.get(id));
  }

  /** Listings a person stopped all writes of. */
  async frozen(channel: ChannelId): Promise<ReadonlySet<ListingId>> {
    const listings = new Set<ListingId>();
    for await (const page of this.#options.open.all()) {
      for (const [, text] of page) {
        const finding = readFinding(text);
        if (finding?.state === 'frozen' && finding.channel === channel && finding.listingId !== '')
          listings.add(finding.listingId);
      }
    }
    return listings;
  }

  async trim(): Promise<number> {
    const { closed, keepClosed, keepMs, nowMs } = this.#options;
    return closed.trim(keepClosed, timePart(nowMs() - keepMs));
  }
}

async function list(records: Records, limit: number, filter: FindingFilter): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for await (const page of records.all()) {
    for (const [, text] of page) {
      const finding = readFinding(text);
      if (finding !== undefined && fits(finding, filter)) found.push(finding);
    }
  }
  return found.toSorted((a, b) => (a.id < b.id ? 1 : -1)).slice(0, limit);
}

function fits(finding: Finding, filter: FindingFilter): boolean {
  return (
    (filter.channel === undefined || finding.channel === filter.channel) &&
    (filter.sku === undefined || finding.sku === filter.sku) &&
    (filter.verdict === undefined || finding.verdict === filter.verdict) &&
    (filter.runId === undefined || finding.runId === filter.runId) &&
    (filter.before === undefined || finding.id < filter.before)
  );
}

function readFinding(text: string | undefined): Finding | undefined {
  if (text === undefined) return undefined;
  const parsed = findingRecord.safeParse(JSON.parse(text));
  return parsed.success ? (parsed.data as unknown as Finding) : undefined;
}
