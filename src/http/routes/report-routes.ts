import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import { findingsCsv, shortfallsCsv } from '../../reconcile/report-csv.ts';
import { reportHtml } from '../../reconcile/report-html.ts';
import type { ReportStore } from '../../reconcile/report-store.ts';
import type { Report } from '../../reconcile/report.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

export interface ReportPorts {
  readonly reports: Pick<ReportStore, 'list' | 'report'>;
  /** One at a time; undefined hours: as configured. */
  make(coverHours: number | undefined): Promise<Report>;
}

const listQuery = z.strictObject({ limit: z.coerce.number().int().min(1).max(1_000).default(50) });
const makeBody = z.strictObject({
  hours: z
    .int()
    .min(1)
    .max(24 * 366)
    .optional(),
});
const path = z.object({ id: z.string().regex(/^[0-9a-z]{1,40}$/) });
const formatQuery = z.strictObject({ format: z.enum(['html', 'json', 'csv', 'shortfalls']).default('json') });

/** Reports as people read them and as programs do. */
export function reportRoutes(ports: ReportPorts): PrivateRoutes {
  return (app) => {
    app.get('/reports', scoped('read'), async (request) => {
      const { limit } = parseInput(listQuery, request.query);
      return { reports: await ports.reports.list(limit) };
    });

    app.post('/reports', scoped('operator'), async (request) => {
      const { hours } = parseInput(makeBody, request.body ?? {});
      const { id, madeAtMs, sinceMs, untilMs } = await ports.make(hours);
      return { id, madeAtMs, sinceMs, untilMs };
    });

    app.get('/reports/:id', scoped('read'), async (request, reply) => {
      const { id } = parseInput(path, request.params);
      const { format } = parseInput(formatQuery, request.query);
      const report = await ports.reports.report(id);
      if (report === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
      if (format === 'json') return report;
      if (format === 'html') {
        // Opened in a browser beside the API: it may run nothing and load nothing.
        return reply
          .type('text/html; charset=utf-8')
          .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox")
          .send(reportHtml(report));
      }
      const text = format === 'csv' ? findingsCsv(report) : shortfallsCsv(report);
      return reply.type('text/csv; charset=utf-8').send(text);
    });
  };
}
