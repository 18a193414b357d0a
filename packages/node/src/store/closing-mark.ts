/**
 * A file beside the ledger that is written anew at each clean stop. The ledger remembers which one
 * it was: by inode and by the time of its last change, which no program can set. A copy of the
 * directory, an archive or a backup that was unpacked has another, so a ledger that comes from one is
 * told from a ledger that was merely stopped, though both say that they were closed. An image of a
 * whole disk cannot be told: for that there is what a node hears in its own name.
 */
import { open, stat } from 'node:fs/promises'
import type { ClosingMark } from '../ports.ts'

export function closingMark(path: string): ClosingMark {
  return {
    leave: async () => {
      const file = await open(path, 'w', 0o600)
      try {
        await file.writeFile('The daemon stopped in order. Do not copy a ledger: see the manual.\n')
        await file.sync()
      } finally {
        await file.close()
      }
      return await nameOf(path)
    },
    found: () => nameOf(path),
  }
}

async function nameOf(path: string): Promise<string> {
  try {
    const { ino, ctimeNs } = await stat(path, { bigint: true })
    return `${ino}/${ctimeNs}`
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
