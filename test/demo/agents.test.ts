import { expect, test } from 'vitest';
import { agentSession } from '../../demo/agents/session.ts';

test('a race has one winner; agents and people leave books that add up', async () => {
  const { races, tally, findings } = await agentSession(150, 7, 40);
  for (const race of races) expect(race).toEqual({ buyers: 40, held: 1, denied: 39, other: 0 });
  expect(findings).toEqual([]);
  expect(tally['repeat OTHER ANSWER']).toBeUndefined();
  expect(tally['commit committed']).toBeGreaterThan(0);
  expect(tally['rest held']).toBeGreaterThan(0);
  expect(tally['mcp held']).toBeGreaterThan(0);
});
