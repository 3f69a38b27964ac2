import { parseArgs } from 'node:util';
import { agentSession, faultsOf } from './session.ts';

const { values } = parseArgs({
  options: {
    agents: { type: 'string', default: '3000' },
    seed: { type: 'string', default: '1' },
    buyers: { type: 'string', default: '100' },
    'max-lag-ms': { type: 'string', default: '30000' },
  },
});
const report = await agentSession({
  agents: Number(values.agents),
  seed: Number(values.seed),
  buyers: Number(values.buyers),
  maxLagMs: Number(values['max-lag-ms']),
});
const faults = faultsOf(report);
console.log(JSON.stringify({ agents: report, faults }));
process.exitCode = faults.length === 0 ? 0 : 1;
