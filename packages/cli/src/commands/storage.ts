import type { Commands } from '../run.ts'
import { explainAction } from './explain.ts'
import { whole } from './numbers.ts'

export function storageCommand({ program, action }: Commands): void {
  const storage = program.command('storage').description('proofs of storage')
  storage
    .command('explain')
    .description('what providers answered in an epoch, what they owe, and which deals ended')
    .argument('<epoch>', '', whole)
    .option('--node <index>', 'only what concerns this node', whole)
    .action(action(explainAction({ kind: 'storage', none: 'no challenge', part: 'node' })))
}
