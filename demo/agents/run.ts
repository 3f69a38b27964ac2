import { parseArgs } from 'node:util';
import { agentSession } from './session.ts';

const { values } = parseArgs({
  options: { agents: { type: 'string', default: '3000' }, seed: { type: 'string', default: '1' } },
});
const report = await agentSession(Number(values.agents), Number(values.seed));
console.log(JSON.stringify({ agents: report }));
// A shop's own sale of a unit that an agent holds at that moment shows as oversold; it is told, and is no defect of the ledger.
const isRight =
  report.findings.length === 0 &&
  report.races.every(({ held, other }) => held === 1 && other === 0) &&
  report.tally['repeat OTHER ANSWER'] === undefined;
process.exitCode = isRight ? 0 : 1;
