import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { hasCode } from '@cairn/node/lock'
import { CairnError } from '@cairn/protocol'
import type { World } from './world.ts'

export interface Input {
  path: string
  /** Undefined for what has no end that is known before. */
  bytes: number | undefined
  /** Its bytes, once. */
  open(): AsyncIterable<Uint8Array>
}

/** Finds a file, or standard input for `-`. Throws `fileNotFound`, `notAFile` or `fileUnreadable`. */
export async function openInput(
  { stdin, cwd }: Pick<World, 'stdin' | 'cwd'>,
  file: string,
  signal: AbortSignal,
): Promise<Input> {
  if (file === '-') return { path: file, bytes: undefined, open: () => stdin }
  const path = resolve(cwd, file)
  const stats = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
  if (stats.isDirectory()) {
    throw new CairnError('notAFile', `${path} is a directory`, {
      facts: { path },
      next: 'pack it into one file first, as with tar',
    })
  }
  return {
    path,
    bytes: stats.isFile() ? stats.size : undefined,
    open: async function* read() {
      try {
        yield* createReadStream(path, { signal })
      } catch (cause) {
        if (signal.aborted) throw cause
        throw unreadable(path, cause)
      }
    },
  }
}

/** A file's text. Throws `fileNotFound`, `fileUnreadable`. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

function unreadable(path: string, cause: unknown): CairnError {
  if (hasCode(cause, 'ENOENT')) {
    return new CairnError('fileNotFound', `there is no file ${path}`, { facts: { path }, cause })
  }
  const reason = (cause as NodeJS.ErrnoException).code
  return new CairnError('fileUnreadable', `${path} cannot be read: ${reason}`, {
    facts: { path, reason },
    cause,
  })
}
