import { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import type { MappingChange } from '../../mesh/mapping-decisions.ts';
import type { MappingRow, MappingShow } from '../../mesh/mapping-table.ts';
import {
  type MappingAllowances,
  type MappingFile,
  mappingCsv,
  readMappingCsv,
  type MappingWorld,
} from '../mapping/mapping-csv.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

export interface MappingPorts {
  /** Items of all channels, or of one. */
  rows(show: MappingShow, channel: string | undefined): readonly MappingRow[];
  readonly world: MappingWorld;
  apply(changes: readonly MappingChange[], actor: string): Promise<void>;
}

const show = z.enum(['all', 'open', 'unmapped', 'ambiguous']);
const listQuery = z.strictObject({
  show: show.default('open'),
  channel: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(1_000),
});
const exportQuery = z.strictObject({ show: show.default('all'), channel: z.string().max(64).optional() });
const importBody = z.strictObject({
  csv: z.string().max(16_000_000),
  actor: z.string().min(1).max(200),
  dryRun: z.boolean().default(false),
  newSkus: z.boolean().default(false),
  shared: z.boolean().default(false),
});
const maxImportBytes = 33_554_432;
const maxShownChanges = 1_000;

/** Which item of which channel is which SKU, and the word of a person on it. */
export function mappingRoutes(ports: MappingPorts, log: Logger): PrivateRoutes {
  return (app) => {
    app.get('/mapping', scoped('read'), async (request) => {
      const query = parseInput(listQuery, request.query);
      const rows = ports.rows(query.show, query.channel);
      return { total: rows.length, rows: rows.slice(0, query.limit) };
    });

    app.get('/mapping/export', scoped('read'), async (request, reply) => {
      const query = parseInput(exportQuery, request.query);
      const csv = mappingCsv(ports.rows(query.show, query.channel));
      return reply.type('text/csv; charset=utf-8').send(Readable.from(csv));
    });

    app.post('/mapping/import', { ...scoped('operator'), bodyLimit: maxImportBytes }, async (request) => {
      const { csv, actor, dryRun, ...allowed } = parseInput(importBody, request.body);
      const { changes, unchanged } = readOrRefuse(csv, ports.world, allowed);
      if (!dryRun) {
        log.warn({ actor, changes: changes.length }, 'an operator changes which items are which SKUs');
        await ports.apply(changes, actor);
      }
      return {
        outcome: dryRun ? 'would-change' : 'changed',
        changed: changes.length,
        unchanged,
        changes: changes.slice(0, maxShownChanges),
      };
    });
  };
}

function readOrRefuse(
  csv: string,
  world: MappingWorld,
  allowed: MappingAllowances,
): Extract<MappingFile, { kind: 'read' }> {
  const file = readMappingCsv(csv, world, allowed);
  if (file.kind === 'read') return file;
  const reason = file.problems.map(({ line, problem }) => `line ${line}: ${problem}`).join('; ');
  throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: `nothing was changed. ${reason}` });
}
