import type { Commands } from '../run.ts'
import { explainAction } from './explain.ts'

export function storageCommand({ program, action }: Commands): void {
  const storage = program.command('storage').description('proofs of storage')
  storage
    .command('explain <epoch>')
    .description('what providers answered in an epoch, what they owe, and which deals ended')
    .option('--node <index>', 'only what concerns this node')
    .action(action(explainAction({ kind: 'storage', none: 'no challenge', part: 'node' })))
}
