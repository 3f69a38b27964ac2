/**
 * Named places where a test may stop, delay or break the running daemon: `name@n=kill|throw|delay:<ms>|hang`, several
 * separated by commas; `n` counts the passes of that place, from 1. Nothing happens unless `armFailpoints` was called,
 * and that is refused in production, because a failpoint is a way to lose a delivery on purpose.
 */
export const failpointNames = [
  'webhook-read',
  'inbox-added',
  'webhook-answered',
  'ledger-applied',
  'poll-page-fetched',
  'poll-page-applied',
  'publish-claimed',
  'publish-sent',
  'publish-answered',
  'job-started',
  'segment-written',
  'log-archived',
  'log-trimmed',
  'vault-rewrapped',
  'notices-handed-on',
  'notice-answered',
] as const;
export type FailpointName = (typeof failpointNames)[number];

type Action =
  | { readonly kind: 'kill' }
  | { readonly kind: 'throw' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'hang' };

interface Armed {
  readonly name: FailpointName;
  /** The pass on which it acts; `*`: on every pass. */
  readonly pass: number | '*';
  readonly action: Action;
}

export type ArmResult =
  | { readonly kind: 'armed' | 'inert' }
  | { readonly kind: 'refused'; readonly reason: string };

const pattern = /^([a-z-]+)@(\d{1,9}|\*)=(kill|throw|hang|delay:(\d{1,7}))$/;

let armed: readonly Armed[] | undefined;
const passes = new Map<FailpointName, number>();

/** `specification` is the value of STOCKMESH_FAILPOINT, read by src/config. */
export function armFailpoints(specification: string | undefined, isProduction: boolean): ArmResult {
  armed = undefined;
  passes.clear();
  if (specification === undefined || specification === '') return { kind: 'inert' };
  if (isProduction) return { kind: 'refused', reason: 'failpoints are refused when NODE_ENV is production' };
  const parsed: Armed[] = [];
  for (const part of specification.split(',')) {
    const match = pattern.exec(part.trim());
    const name = failpointNames.find((known) => known === match?.[1]);
    if (match === null || name === undefined) {
      return { kind: 'refused', reason: `not a failpoint: ${JSON.stringify(part)}` };
    }
    parsed.push({
      name,
      pass: match[2] === '*' ? '*' : Number(match[2]),
      action: actionOf(match[3], match[4]),
    });
  }
  armed = parsed;
  return { kind: 'armed' };
}

/** Marks a place. Free when nothing is armed. */
export function failpoint(name: FailpointName): Promise<void> | undefined {
  return armed === undefined ? undefined : pass(name, armed);
}

async function pass(name: FailpointName, points: readonly Armed[]): Promise<void> {
  const count = (passes.get(name) ?? 0) + 1;
  passes.set(name, count);
  const hit = points.find((point) => point.name === name && (point.pass === '*' || point.pass === count));
  if (hit === undefined) return;
  switch (hit.action.kind) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      // The signal may be taken by another thread: nothing after this line may run meanwhile.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      return;
    case 'throw':
      throw new Error(`failpoint ${name}`);
    case 'delay': {
      const { ms } = hit.action;
      return new Promise((resolve) => setTimeout(resolve, ms));
    }
    case 'hang':
      return new Promise(() => undefined);
  }
}

function actionOf(text: string | undefined, delayMs: string | undefined): Action {
  if (delayMs !== undefined) return { kind: 'delay', ms: Number(delayMs) };
  if (text === 'kill' || text === 'throw' || text === 'hang') return { kind: text };
  throw new TypeError(`failpoint action ${text}`);
}
