import { expect, test } from 'vitest';
import { agentSession, faultsOf } from '../../demo/agents/session.ts';

test('each race has its winner on every path; agents and people leave books that add up', async () => {
  const report = await agentSession({ agents: 150, seed: 7, buyers: 40, maxLagMs: 600_000 });
  const { races, tally } = report;
  expect(faultsOf(report)).toEqual([]);
  for (const path of ['rest', 'mcp', 'acp', 'ucp', 'doors'])
    expect(races[path], path).toEqual({ buyers: 40, held: 1, sold: 0, denied: 39, other: 0 });
  expect(races['shop']).toEqual({ buyers: 40, held: 0, sold: 1, denied: 39, other: 0 });
  expect(tally['commit committed']).toBeGreaterThan(0);
  for (const door of ['rest', 'mcp', 'acp', 'ucp']) expect(tally[`${door} held`], door).toBeGreaterThan(0);
});
