import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Records } from '../mesh/kept-records.ts';
import { type Report, shortened } from './report.ts';
import { timePart } from './time-id.ts';

export interface ReportStoreOptions {
  readonly records: Records;
  readonly nowMs: () => number;
  readonly keepReports: number;
  readonly keepMs: number;
}

/** What is listed of a report without opening it. */
export interface ReportHead {
  readonly id: string;
  readonly cause: Report['cause'];
  readonly madeAtMs: number;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly findings: number;
  readonly openFindings: number;
  readonly shortfalls: number;
}

const zip = promisify(gzip);
const unzip = promisify(gunzip);
/** As base64 it fits a record; `KeptRecords` refuses what is larger. */
const maxZippedBytes = 190_000;
const maxUnzippedBytes = 64 * 1024 * 1024;

/** Reports as they were made, so that one fetched next month says what the mail of today said. Compressed, in Redis. */
export class ReportStore {
  readonly #options: ReportStoreOptions;

  constructor(options: ReportStoreOptions) {
    this.#options = options;
  }

  /** The report as it was kept: shorter than it was made when it was too large. */
  async keep(made: Report): Promise<Report> {
    const { records, keepReports, keepMs, nowMs } = this.#options;
    let report = made;
    let zipped = await zip(JSON.stringify(report));
    while (zipped.length > maxZippedBytes) {
      report = shortened(report);
      zipped = await zip(JSON.stringify(report));
    }
    const head = JSON.stringify(headOf(report));
    await records.put(report.id, `${head}\n${zipped.toString('base64')}`);
    await records.trim(keepReports, timePart(nowMs() - keepMs));
    return report;
  }

  async report(id: string): Promise<Report | undefined> {
    const text = await this.#options.records.get(id);
    if (text === undefined) return undefined;
    const zipped = Buffer.from(text.slice(text.indexOf('\n') + 1), 'base64');
    const json = await unzip(zipped, { maxOutputLength: maxUnzippedBytes });
    return JSON.parse(json.toString('utf8')) as Report;
  }

  /** Newest first. */
  async list(limit: number): Promise<readonly ReportHead[]> {
    const heads: ReportHead[] = [];
    for await (const page of this.#options.records.all())
      for (const [, text] of page) heads.push(JSON.parse(text.slice(0, text.indexOf('\n'))) as ReportHead);
    return heads.toSorted((a, b) => (a.id < b.id ? 1 : -1)).slice(0, limit);
  }
}

function headOf(report: Report): ReportHead {
  const { id, cause, madeAtMs, sinceMs, untilMs, findings, shortfalls, leftOut } = report;
  return {
    id,
    cause,
    madeAtMs,
    sinceMs,
    untilMs,
    findings: findings.length + leftOut.findings,
    openFindings: findings.filter(({ state }) => state !== 'resolved').length,
    shortfalls: shortfalls.length + leftOut.shortfalls,
  };
}
