import { open, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { hasCode } from '@cairn/node/lock'
import { CairnError } from '@cairn/protocol'
import type { World } from './world.ts'

export interface Input {
  stream: Readable
  /** Undefined for what has no end that is known before. */
  bytes: number | undefined
}

/** Opens a file, or standard input for `-`. Throws `fileNotFound`, or `notAFile`. */
export async function openInput(
  { stdin, cwd }: Pick<World, 'stdin' | 'cwd'>,
  file: string,
  signal: AbortSignal,
): Promise<Input> {
  if (file === '-') return { stream: stdin, bytes: undefined }
  const path = resolve(cwd, file)
  const handle = await open(path).catch((cause: unknown) => {
    if (!hasCode(cause, 'ENOENT')) throw cause
    throw new CairnError('fileNotFound', `there is no file ${path}`, { facts: { path }, cause })
  })
  const stats = await handle.stat()
  if (stats.isDirectory()) {
    await handle.close()
    throw new CairnError('notAFile', `${path} is a directory`, {
      facts: { path },
      next: 'pack it into one file first, as with tar',
    })
  }
  return {
    stream: handle.createReadStream({ signal }),
    bytes: stats.isFile() ? stats.size : undefined,
  }
}

/** A file's text. Throws `fileNotFound`. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause
    throw new CairnError('fileNotFound', `there is no file ${path}`, { facts: { path }, cause })
  }
}
