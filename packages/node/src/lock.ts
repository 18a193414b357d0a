/**
 * One process per data directory. The lock file names its holder and, once the daemon serves, where
 * its API is: it is how the other commands find the daemon.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { z } from 'zod'

const LockFile = z.object({
  pid: z.int().min(1),
  api: z.object({ url: z.url(), tokenPath: z.string() }).optional(),
  /** The command that stops this daemon, where its process runs others too. */
  stopWith: z.string().optional(),
})
export type LockFile = z.infer<typeof LockFile>

export interface Lock {
  /** Tells other commands where the API is. */
  publish(api: { url: string; tokenPath: string }): Promise<void>
  release(): Promise<void>
}

/** A stale file is removed and the lock tried again so many times. */
const ATTEMPTS = 3

export function lockPath(dataDir: string): string {
  return join(dataDir, 'cairn.lock')
}

/** Rejects with `dataDirLocked`, naming the process that holds it. */
export async function acquireLock(
  dataDir: string,
  pid: number,
  { stopWith }: Pick<LockFile, 'stopWith'> = {},
): Promise<Lock> {
  const path = lockPath(dataDir)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      await writeFile(path, text({ pid, stopWith }), { flag: 'wx', mode: 0o600 })
      return {
        async publish(api) {
          await writeFile(`${path}.new`, text({ pid, api, stopWith }), { mode: 0o600 })
          await rename(`${path}.new`, path)
        },
        release: () => rm(path, { force: true }),
      }
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    }
    const holder = await readLock(dataDir)
    if (holder !== undefined && holder.pid !== pid && isAlive(holder.pid)) {
      throw new CairnError('dataDirLocked', `process ${holder.pid} runs a daemon on ${dataDir}`, {
        facts: { pid: holder.pid, path },
        next: 'stop it with `cairn stop`, or use another --data-dir',
      })
    }
    await rm(path, { force: true })
  }
  throw new CairnError('dataDirLocked', `${path} is taken again and again`, { facts: { path } })
}

/** What the lock file says; undefined when there is none, or none that anybody wrote whole. */
export async function readLock(dataDir: string): Promise<LockFile | undefined> {
  let source: string
  try {
    source = await readFile(lockPath(dataDir), 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  return LockFile.safeParse(parsed(source)).data
}

/** Of a process of any user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return hasCode(error, 'EPERM')
  }
}

function text(lock: LockFile): string {
  return `${JSON.stringify(lock)}\n`
}

function parsed(source: string): unknown {
  try {
    return JSON.parse(source)
  } catch {
    // A process that was killed while it wrote leaves half a line: nobody holds the lock.
    return undefined
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
