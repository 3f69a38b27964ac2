// What `npm test` does once the set-up is done: type check, lint, format, dead code, tests.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** More files than this did not wait for a busy machine: something is broken. */
const maxSecondRunFiles = 6;

/** The counts of a vitest JSON report as the line CI reads. A run that failed without a failed test counts one. */
export function countsLine(report, exitCode) {
  const passed = report?.numPassedTests ?? 0;
  const failed = Math.max(report?.numFailedTests ?? 0, exitCode === 0 ? 0 : 1);
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/**
 * The files to run once more, alone: those of a failed run in which nothing but waits ran out. A time-out on a machine
 * that was busy with other tests is no verdict; any other failure is one, and then nothing is run again.
 * `outcome` is what scripts/time-out-reporter.ts wrote.
 */
export function filesToRunAgain(outcome) {
  if (outcome === undefined || outcome.failed.length > 0) return [];
  return outcome.timedOut.length <= maxSecondRunFiles ? outcome.timedOut : [];
}

/** Counts of the first run in which the tests that failed stand as the second run found them. */
export function mergedCounts(first, second) {
  const passedAgain = Math.max(0, first.numFailedTests - second.numFailedTests);
  return {
    ...first,
    numPassedTests: first.numPassedTests + passedAgain,
    numFailedTests: second.numFailedTests,
  };
}

/** `runTool(name, args)` runs a program of node_modules/.bin and resolves with its exit code; so does this. */
export async function runChecks({ root, flags, runTool }) {
  const steps = [
    { name: 'type check', tool: 'tsc', args: ['--noEmit'] },
    { name: 'lint', tool: 'oxlint', args: [] },
    { name: 'format', tool: 'oxfmt', args: ['--check', '.'] },
    { name: 'dead code', tool: 'knip', args: [] },
  ];
  for (const { name, tool, args } of steps) {
    console.log(`== ${name} (${tool})`);
    const code = await runTool(tool, args);
    if (code === 0) continue;
    console.log(`== ${name} failed (exit code ${code})\n${countsLine(undefined, code)}`);
    return code;
  }
  console.log('== tests (vitest)');
  const first = await runTests(root, runTool, flags);
  const again = first.code === 0 ? [] : filesToRunAgain(first.outcome);
  if (again.length === 0) {
    if (first.code !== 0) console.log(`== tests failed (exit code ${first.code})`);
    console.log(countsLine(first.report, first.code));
    return first.code;
  }
  console.log(`== waits ran out in ${again.join(', ')}: once more, alone`);
  const second = await runTests(root, runTool, [...again, '--maxWorkers=1']);
  const counts =
    first.report === undefined || second.report === undefined
      ? undefined
      : mergedCounts(first.report, second.report);
  console.log(countsLine(counts, second.code));
  return second.code;
}

async function runTests(root, runTool, flags) {
  const dir = mkdtempSync(join(tmpdir(), 'sm-report-'));
  const [reportFile, outcomeFile] = [join(dir, 'vitest.json'), join(dir, 'outcome.json')];
  process.env.STOCKMESH_TEST_OUTCOME = outcomeFile;
  const reporters = ['default', 'json', join(root, 'scripts/time-out-reporter.ts')];
  const code = await runTool('vitest', [
    'run',
    ...reporters.map((reporter) => `--reporter=${reporter}`),
    `--outputFile.json=${reportFile}`,
    ...flags,
  ]);
  const result = { code, report: readJson(reportFile), outcome: readJson(outcomeFile) };
  rmSync(dir, { recursive: true, force: true });
  return result;
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
