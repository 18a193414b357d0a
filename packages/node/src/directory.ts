/** Directories that an operator names. */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { hasCode } from './lock.ts'

/**
 * Makes a directory and those above it that are missing, for the owner alone; one that is there
 * stays as it is. Throws `badDirectory`. Each one is asked for once: `mkdir` with `recursive` asks
 * for ever where a file system has no such place, as /proc.
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await made(path)
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    throw new CairnError('badDirectory', `${path} cannot be a directory: ${why}`, {
      facts: { path },
      cause,
      next: 'name one that you may write to',
    })
  }
}

async function made(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (hasCode(error, 'EEXIST') && (await stat(path)).isDirectory()) return
    const above = dirname(path)
    if (!hasCode(error, 'ENOENT') || above === path) throw error
    await made(above)
    await mkdir(path, { mode: 0o700 })
  }
}
