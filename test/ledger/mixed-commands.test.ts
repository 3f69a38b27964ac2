import * as fc from 'fast-check';
import { test } from 'vitest';
import { orderBench } from '../support/order-bench.ts';
import { failOnLeakedConnections } from '../support/redis-connections.ts';
import { anyCommand, runCommands } from './model/any-command.ts';

failOnLeakedConnections();

test('whatever commands come in whatever order, log and state hold together', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyCommand, { minLength: 5, maxLength: 40 }), async (steps) => {
      const bench = orderBench();
      try {
        await runCommands(bench, steps);
        await bench.audit();
      } finally {
        await bench.close();
      }
    }),
    { numRuns: 80 },
  );
});
