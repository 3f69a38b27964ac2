import { Readable } from 'node:stream';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import { parseChannelId, parseSku, type ChannelId, type Sku } from '../../domain/ids.ts';
import type { Movement } from '../../domain/movement.ts';
import type { SyncJournal } from '../../mesh/sync-journal.ts';
import { explain, type ExplainOptions } from '../../reconcile/explain.ts';
import { exportHistory, exportSyncRecords, historyRow } from '../../reconcile/exports.ts';
import { parseStoryEnd } from '../../reconcile/story-end.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

export interface HistoryPorts {
  readonly explaining: ExplainOptions;
  readonly journal: SyncJournal;
  wholeHistory(): AsyncIterable<readonly Movement[]>;
}

const explainQuery = z.strictObject({
  sku: z.string().min(1).max(255),
  channel: z.string().max(64).optional(),
  at: z.string().max(64).optional(),
});
const exportQuery = z.strictObject({
  format: z.enum(['csv', 'jsonl']).default('csv'),
  sku: z.string().min(1).max(255).optional(),
});

/** Why a number is what it is, and what was written where. */
export function historyRoutes(ports: HistoryPorts): PrivateRoutes {
  const { explaining, journal } = ports;
  return (app) => {
    app.get('/explain', scoped('read'), async (request) => {
      const { sku, channel, at } = parseInput(explainQuery, request.query);
      const end = parseStoryEnd(at);
      if (end.kind === 'bad')
        throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: `at: ${end.reason}` });
      const told = await explain(explaining, {
        sku: skuOf(sku),
        channel: channelOf(channel),
        end: end.value,
      });
      return { ...told, movements: told.movements.map(historyRow) };
    });

    app.get('/exports/history', scoped('read'), async (request, reply) => {
      const { format, sku } = parseInput(exportQuery, request.query);
      const pages = sku === undefined ? ports.wholeHistory() : explaining.historyOf(skuOf(sku));
      return reply.type(mediaType(format)).send(Readable.from(exportHistory(pages, format)));
    });

    app.get('/exports/sync', scoped('read'), async (request, reply) => {
      const { format } = parseInput(exportQuery.omit({ sku: true }), request.query);
      return reply.type(mediaType(format)).send(Readable.from(exportSyncRecords(journal.all(), format)));
    });
  };
}

function mediaType(format: 'csv' | 'jsonl'): string {
  return format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson';
}

function skuOf(text: string): Sku {
  const parsed = parseSku(text);
  if (parsed.kind === 'bad') throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: parsed.reason });
  return parsed.value;
}

function channelOf(text: string | undefined): ChannelId | undefined {
  if (text === undefined) return undefined;
  const parsed = parseChannelId(text);
  if (parsed.kind === 'bad') throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: parsed.reason });
  return parsed.value;
}
