import type { Commands } from '../run.ts'
import { explainAction } from './explain.ts'

export function coverageCommand({ program, action }: Commands): void {
  const coverage = program.command('coverage').description('radio coverage')
  coverage
    .command('explain <epoch>')
    .description('why beacons and witnesses of an epoch did or did not count')
    .option('--node <index>', 'only what concerns this node')
    .action(action(explainAction({ kind: 'coverage', none: 'no beacon', part: 'witness' })))
}
