#!/usr/bin/env node
import { runCli } from './daemon/run-cli.ts';

await runCli(process.argv.slice(2));
