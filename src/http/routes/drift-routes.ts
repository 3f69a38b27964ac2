import type { Logger } from 'pino';
import { z } from 'zod';
import { StockmeshError } from '../../domain/errors.ts';
import type { ChannelId, Sku } from '../../domain/ids.ts';
import { maxUnits } from '../../domain/quantity.ts';
import type { DriftVerdict } from '../../domain/verdict.ts';
import type { Decision, DecisionResult } from '../../reconcile/decisions.ts';
import type { FindingStore } from '../../reconcile/finding-store.ts';
import type { WantedRun } from '../../reconcile/reconciler.ts';
import type { RunRequest } from '../../reconcile/run.ts';
import type { RunStore } from '../../reconcile/run-store.ts';
import { parseInput, type PrivateRoutes, scoped } from '../private-route.ts';

export interface DriftPorts {
  readonly runs: Pick<RunStore, 'run' | 'list'>;
  readonly findings: Pick<FindingStore, 'listOpen' | 'listClosed' | 'finding'>;
  /** Empty: no such channel. */
  request(
    channel: ChannelId | undefined,
    wanted: WantedRun,
  ): Promise<readonly (RunRequest & { channel: ChannelId })[]>;
  decide(id: string, decision: Decision): Promise<DecisionResult | undefined>;
}

const name = z.string().min(1).max(255);
const wanted = z.strictObject({
  channel: name.optional(),
  skus: z.array(name).max(1_000).default([]),
  dryRun: z.boolean().default(false),
  actor: name,
});
const page = z.object({
  channel: name.optional(),
  before: name.optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
const findingsPage = page.extend({
  state: z.enum(['open', 'resolved']).default('open'),
  sku: name.optional(),
  verdict: name.optional(),
});
const idPath = z.object({ id: name });
const said = { id: name, actor: name, reason: z.string().min(1).max(200) };
const decision = z.discriminatedUnion('decision', [
  z.strictObject({ decision: z.enum(['accept', 'reject', 'freeze', 'thaw']), ...said }),
  z.strictObject({ decision: z.literal('set'), units: z.int().min(0).max(maxUnits), ...said }),
]);

/** Runs, what they found, and what a person decides about it. */
export function driftRoutes(ports: DriftPorts, log: Logger): PrivateRoutes {
  return (app) => {
    app.post('/reconcile', scoped('operator'), async (request) => {
      const { channel, skus, dryRun, actor } = parseInput(wanted, request.body);
      const runs = await ports.request(channel as ChannelId | undefined, {
        skus,
        isDryRun: dryRun,
        cause: 'operator',
        actor,
      });
      if (runs.length === 0) throw new StockmeshError('HTTP_NOT_FOUND', {});
      return { runs };
    });

    app.get('/reconcile/runs', scoped('read'), async (request) => {
      const { channel, before, limit } = parseInput(page, request.query);
      const runs = await ports.runs.list(limit, { channel: channel as ChannelId | undefined, before });
      return { runs, next: runs.length === limit ? runs.at(-1)?.id : undefined };
    });

    app.get('/reconcile/runs/:id', scoped('read'), async (request) => {
      const { id } = parseInput(idPath, request.params);
      const run = await ports.runs.run(id);
      if (run === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
      const [open, closed] = await Promise.all([
        ports.findings.listOpen(1_000, { runId: id }),
        ports.findings.listClosed(1_000, { runId: id }),
      ]);
      return { run, findings: [...open, ...closed] };
    });

    app.get('/drift', scoped('read'), async (request) => {
      const { state, channel, sku, verdict, before, limit } = parseInput(findingsPage, request.query);
      const filter = {
        channel: channel as ChannelId | undefined,
        sku: sku as Sku | undefined,
        verdict: verdict as DriftVerdict | undefined,
        before,
      };
      const { findings } = ports;
      const rows = await (state === 'open'
        ? findings.listOpen(limit, filter)
        : findings.listClosed(limit, filter));
      return { findings: rows, next: rows.length === limit ? rows.at(-1)?.id : undefined };
    });

    app.get('/drift/:id', scoped('read'), async (request) => {
      const { id } = parseInput(idPath, request.params);
      const finding = await ports.findings.finding(id);
      if (finding === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
      return finding;
    });

    app.post('/drift/decide', scoped('adjust'), async (request) => {
      const body = parseInput(decision, request.body);
      const { id, actor, reason } = body;
      log.warn({ id, actor, reason, decision: body.decision }, 'a person decides about drift');
      const result = await ports.decide(
        id,
        body.decision === 'set'
          ? { kind: 'set', units: body.units, actor, reason }
          : { kind: body.decision, actor, reason },
      );
      if (result === undefined) throw new StockmeshError('HTTP_NOT_FOUND', {});
      if (result.kind === 'done') return result.finding;
      throw new StockmeshError('HTTP_REQUEST_INVALID', { reason: result.reason });
    });
  };
}
