import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** Leave shops and daemon running after the check. */
  readonly keep: boolean;
  readonly durationMs: number;
  readonly maxOrders: number | undefined;
  /** Kill the daemon, or its Redis, with SIGKILL in the middle of the replay. */
  readonly kill: 'daemon' | 'redis' | undefined;
  /** Webhooks are lost, doubled, delayed and reordered. */
  readonly rough: boolean;
  /** The rates that the platforms publish, or none. */
  readonly rateLimits: 'published' | 'none';
}

export const demoUsage = `npm start -- [options]
  --config FILE      run the daemon for real instead of the demo
  --keep             leave the demo running after its check
  --seconds N        length of the replay (10 to 240; default 75)
  --orders N         replay only the first N orders
  --kill WHAT        kill -9 the "daemon" or its "redis" in the middle of the replay
  --rough            lose, double, delay and reorder notifications
  --no-limits        the emulated platforms do not throttle (connectors keep to the published rates all the same)`;

/** Throws a RangeError whose message is for the user. */
export function readDemoOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      keep: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '75' },
      orders: { type: 'string' },
      kill: { type: 'string' },
      rough: { type: 'boolean', default: false },
      'no-limits': { type: 'boolean', default: false },
    },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 10 || seconds > 240)
    throw new RangeError('--seconds takes 10 to 240');
  const maxOrders = values.orders === undefined ? undefined : Number(values.orders);
  if (maxOrders !== undefined && (!Number.isInteger(maxOrders) || maxOrders < 1))
    throw new RangeError('--orders takes a number above 0');
  const { kill } = values;
  if (kill !== undefined && kill !== 'daemon' && kill !== 'redis')
    throw new RangeError('--kill takes daemon or redis');
  return {
    keep: values.keep,
    durationMs: seconds * 1_000,
    maxOrders,
    kill,
    rough: values.rough,
    rateLimits: values['no-limits'] ? 'none' : 'published',
  };
}
