import type {
  BulkProgress,
  BulkRow,
  BulkSubmission,
  BulkWriter,
} from '../../../src/connectors/bulk-write.ts';
import type { RowOutcome } from '../../../src/connectors/connector.ts';

interface SimulatedDocument {
  readonly bulkId: string;
  readonly rows: readonly BulkRow[];
  outcomes: readonly RowOutcome[] | undefined;
}

/** Documents of a simulated platform: nothing happens to one until the test says so. */
export class SimulatedBulk implements BulkWriter {
  readonly maxRows = 1_000;
  readonly longestApplyMs = 3_600_000;
  readonly documents: SimulatedDocument[] = [];
  /** What becomes of the next submission. */
  fate: 'taken' | 'refused' | 'lost-request' | 'lost-answer' = 'taken';
  checks = 0;
  readonly #stock: Map<string, number>;

  constructor(stock: Map<string, number>) {
    this.#stock = stock;
  }

  async submit(rows: readonly BulkRow[]): Promise<BulkSubmission> {
    await Promise.resolve();
    if (this.fate === 'refused') return { kind: 'not-submitted', reason: 'one row is bad' };
    if (this.fate === 'lost-request') return { kind: 'unknown', reason: 'no answer' };
    const bulkId = `document-${this.documents.length + 1}`;
    this.documents.push({ bulkId, rows, outcomes: undefined });
    return this.fate === 'lost-answer'
      ? { kind: 'unknown', reason: 'no answer' }
      : { kind: 'submitted', bulkId };
  }

  async check(bulkId: string): Promise<BulkProgress> {
    await Promise.resolve();
    this.checks++;
    const outcomes = this.#find(bulkId).outcomes;
    return outcomes === undefined ? { kind: 'running' } : { kind: 'finished', rows: outcomes };
  }

  async since(): Promise<'none' | 'running' | 'ended'> {
    await Promise.resolve();
    if (this.documents.length === 0) return 'none';
    return this.documents.every(({ outcomes }) => outcomes !== undefined) ? 'ended' : 'running';
  }

  /** The platform writes what the document says, whatever happened since. */
  apply(bulkId = 'document-1'): void {
    for (const { ref, to } of this.#find(bulkId).rows) this.#stock.set(ref.key, to);
  }

  report(outcome: RowOutcome = { kind: 'accepted' }, bulkId = 'document-1'): void {
    const document = this.#find(bulkId);
    document.outcomes = document.rows.map(() => outcome);
  }

  #find(bulkId: string): SimulatedDocument {
    const found = this.documents.find((document) => document.bulkId === bulkId);
    if (found === undefined) throw new Error(`no document ${bulkId}`);
    return found;
  }
}
