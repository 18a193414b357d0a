/**
 * One rule of a port. A suite is a list of them, free of any test runner:
 * `for (const { title, run } of clockCases(...)) it(title, run)`.
 */
export interface ConformanceCase {
  title: string
  run(): Promise<void>
}
