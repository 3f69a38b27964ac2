import { runMain } from './daemon/run-main.ts';

await runMain(process.argv.slice(2));
