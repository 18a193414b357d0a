/** The node's words on disk: one file, mode 0600, from which every key is derived. */
import { randomBytes } from 'node:crypto'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeDirectory } from '@cairn/node/directory'
import { hasCode } from '@cairn/node/lock'
import { CairnError, ENTROPY_BYTES, mnemonicOf, parseMnemonic } from '@cairn/protocol'

const OTHERS = 0o077

function seedPath(dataDir: string): string {
  return join(dataDir, 'seed')
}

export function newMnemonic(): string {
  return mnemonicOf(randomBytes(ENTROPY_BYTES))
}

/** Makes the directory, mode 0700, and the seed file. Throws `alreadyInitialised`. */
export async function writeSeed(dataDir: string, mnemonic: string): Promise<void> {
  await makeDirectory(dataDir)
  await chmod(dataDir, 0o700)
  const path = seedPath(dataDir)
  try {
    await writeFile(path, `${parseMnemonic(mnemonic)}\n`, { flag: 'wx', mode: 0o600 })
  } catch (cause) {
    if (!hasCode(cause, 'EEXIST')) throw cause
    throw new CairnError('alreadyInitialised', `${path} exists already`, {
      facts: { path },
      next: 'use another --data-dir; a seed is never overwritten',
    })
  }
}

/** Throws `notInitialised`, `seedReadable` when others may read it, or as `parseMnemonic`. */
export async function readSeed(dataDir: string): Promise<string> {
  const path = seedPath(dataDir)
  let source: string
  try {
    const { mode } = await stat(path)
    if ((mode & OTHERS) !== 0) {
      throw new CairnError('seedReadable', `others may read ${path}`, {
        facts: { path, mode: (mode & 0o777).toString(8) },
        next: `run: chmod 600 ${path}`,
      })
    }
    source = await readFile(path, 'utf8')
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT')) throw cause
    throw new CairnError('notInitialised', `there is no node in ${dataDir}`, {
      facts: { dataDir },
      next: 'run `cairn init`, or name the right --data-dir',
    })
  }
  return parseMnemonic(source)
}
