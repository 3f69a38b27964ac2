interface TestCounts {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
}

export declare function countsLine(report: TestCounts | undefined, exitCode: number): string;
export declare function filesToRunAgain(
  outcome: { failed: readonly string[]; timedOut: readonly string[] } | undefined,
): readonly string[];
export declare function mergedCounts(first: TestCounts, second: TestCounts): TestCounts;
