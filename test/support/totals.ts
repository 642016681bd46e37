/** The part of vitest's JSON report that the totals come from. */
export type Report = {
  success: boolean;
  testResults: { status: string; assertionResults: { status: string }[] }[];
};

export type Totals = { passed: number; failed: number };

/** What did not pass has failed: a skipped test, a file that did not load, a run that broke outside its tests. */
export function countTests(report: Report): Totals {
  const totals = { passed: 0, failed: 0 };
  for (const file of report.testResults) {
    const passed = file.assertionResults.filter(({ status }) => status === 'passed').length;
    const failed = file.assertionResults.length - passed;
    totals.passed += passed;
    totals.failed += file.status === 'passed' ? failed : Math.max(failed, 1);
  }
  return { ...totals, failed: report.success ? totals.failed : Math.max(totals.failed, 1) };
}

export function formatTotals({ passed, failed }: Totals): string {
  return `${passed} passed, ${failed} failed`;
}
