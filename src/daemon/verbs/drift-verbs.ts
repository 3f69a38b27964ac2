import { setTimeout as delay } from 'node:timers/promises';
import { shown, UsageError, type Verb, type VerbAnswer, type VerbContext } from './verb.ts';

interface RunRow {
  readonly id: string;
  readonly state: string;
  readonly opened: number;
}

/** Longer than any bulk reading: a daemon that does not publish the channel never begins. */
const runWithinMs = 6 * 3_600_000;
const askEveryMs = 500;

export const reconcileVerb: Verb = {
  name: 'reconcile',
  usage: [
    [
      'reconcile [CHANNEL]',
      'read a channel (all of them), judge every listing, repair by policy; waits for the end\n' +
        '(--dry-run: finds, repairs nothing; --sku SKU: only these, may be repeated); exit code 1\n' +
        'when something was found or a run was aborted',
    ],
    ['reconcile runs [CHANNEL]', 'the newest runs'],
  ],
  options: {
    'dry-run': { type: 'boolean', default: false },
    sku: { type: 'string', multiple: true },
  },
  run: (context) => {
    const [first, second, ...more] = context.args;
    if (first === 'runs' && more.length === 0) return runs(context, second);
    return second === undefined ? reconciled(context, first) : undefined;
  },
};

export const driftVerb: Verb = {
  name: 'drift',
  usage: [
    ['drift [list] [CHANNEL]', 'findings that are not resolved; exit code 1 when there are any'],
    ['drift resolved [CHANNEL]', 'findings that are'],
    ['drift show ID', 'one finding with its history'],
    ['drift accept ID', 'the channel is right: the ledger follows it (--reason TEXT, for each of these)'],
    ['drift reject ID', 'the ledger is right: the channel is written'],
    ['drift set ID UNITS', 'neither: so many units are there to sell'],
    ['drift freeze | thaw ID', 'nothing is written to the listing until it is thawed'],
  ],
  options: { reason: { type: 'string' } },
  run: (context) => {
    const { daemon, args } = context;
    const [action = 'list', id, units, ...more] = args;
    if (more.length > 0) return undefined;
    switch (action) {
      case 'show':
        return id === undefined || units !== undefined
          ? undefined
          : shown(daemon.get(`/drift/${encodeURIComponent(id)}`));
      case 'accept':
      case 'reject':
      case 'freeze':
      case 'thaw':
        return id === undefined || units !== undefined ? undefined : decided(context, action, id);
      case 'set':
        return id === undefined || units === undefined
          ? undefined
          : decided(context, action, id, Number(units));
      case 'resolved':
        return units === undefined ? listed(context, 'resolved', id) : undefined;
      case 'list':
        return units === undefined ? listed(context, 'open', id) : undefined;
      default:
        return id === undefined ? listed(context, 'open', action) : undefined;
    }
  },
};

async function reconciled(
  { daemon, options, actor }: VerbContext,
  channel: string | undefined,
): Promise<VerbAnswer> {
  const { runs: asked } = await daemon.post<{ runs: readonly { runId: string }[] }>('/reconcile', {
    ...(channel === undefined ? {} : { channel }),
    skus: options['sku'] ?? [],
    dryRun: options['dry-run'] === true,
    actor,
  });
  const untilMs = performance.now() + runWithinMs;
  const ended: RunRow[] = [];
  for (const { runId } of asked) {
    let run: RunRow | undefined;
    while (run === undefined || run.state === 'running') {
      if (performance.now() > untilMs) throw new Error(`run ${runId} has not ended`);
      await delay(askEveryMs);
      // Not begun yet: whoever publishes the channel begins it.
      const answer = await daemon
        .get<{ run: RunRow }>(`/reconcile/runs/${runId}`)
        .catch(() => ({ run: undefined }));
      run = answer.run;
    }
    ended.push(run);
  }
  return { result: ended, isFinding: ended.some(({ state, opened }) => state !== 'completed' || opened > 0) };
}

async function runs({ daemon }: VerbContext, channel: string | undefined): Promise<VerbAnswer> {
  const query = channel === undefined ? '' : `?channel=${encodeURIComponent(channel)}`;
  return { result: (await daemon.get<{ runs: unknown }>(`/reconcile/runs${query}`)).runs };
}

async function listed(
  { daemon }: VerbContext,
  state: 'open' | 'resolved',
  channel: string | undefined,
): Promise<VerbAnswer> {
  const query = `state=${state}&limit=1000${channel === undefined ? '' : `&channel=${encodeURIComponent(channel)}`}`;
  const { findings } = await daemon.get<{ findings: readonly Record<string, unknown>[] }>(`/drift?${query}`);
  // The history of one is told by `show`.
  const result = findings.map((finding) => ({ ...finding, steps: undefined }));
  return { result, isFinding: state === 'open' && findings.length > 0 };
}

function decided(
  { daemon, options, actor }: VerbContext,
  decision: string,
  id: string,
  units?: number,
): Promise<VerbAnswer> {
  const reason = options['reason'];
  if (typeof reason !== 'string') throw new UsageError('--reason TEXT is needed: it goes into the log');
  if (units !== undefined && !Number.isSafeInteger(units)) throw new UsageError('UNITS is a whole number');
  return shown(
    daemon.post('/drift/decide', { id, decision, actor, reason, ...(units === undefined ? {} : { units }) }),
  );
}
