import type { Commands } from '../run.ts'
import { explainAction } from './explain.ts'
import { whole } from './numbers.ts'

export function coverageCommand({ program, action }: Commands): void {
  const coverage = program.command('coverage').description('radio coverage')
  coverage
    .command('explain')
    .description('why beacons and witnesses of an epoch did or did not count')
    .argument('<epoch>', '', whole)
    .option('--node <index>', 'only what concerns this node', whole)
    .action(action(explainAction({ kind: 'coverage', none: 'no beacon', part: 'witness' })))
}
