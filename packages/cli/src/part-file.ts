/**
 * A file that comes in parts. What is here stands in `<path>.part`; `<path>.part.json` says what it is
 * of and how much of it is safe on disk, so that a transfer that broke off goes on where it ended. The
 * name itself appears only with the whole content.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  access,
  type FileHandle,
  open,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasCode } from '@cairn/node/lock'
import { CairnError, check } from '@cairn/protocol'
import { z } from 'zod'

/** What is written between two records of it is fetched again after a kill or a power cut, bytes. */
const RECORD_EVERY_BYTES = 16 * 1024 * 1024

const Record = z.strictObject({
  schema: z.literal(1),
  /** What the part is of, as `PartInit` says. */
  of: z.string(),
  /** Bytes that are on disk. */
  bytes: z.int().min(0),
})

export interface PartInit {
  path: string
  /** Names what is fetched; a part of anything else is not continued. */
  of: string
  /** An existing file may be replaced. */
  force: boolean
}

export class PartFile {
  readonly #path: string
  readonly #of: string
  readonly #handle: FileHandle
  readonly #hash: Hash
  #bytes: number
  #recorded: number

  private constructor(
    { path, of }: PartInit,
    handle: FileHandle,
    found: { bytes: number; hash: Hash },
  ) {
    this.#path = path
    this.#of = of
    this.#handle = handle
    this.#bytes = found.bytes
    this.#recorded = found.bytes
    this.#hash = found.hash
  }

  /** Opens the part of an earlier transfer, or a new one. Throws `fileExists` or `cannotWrite`. */
  static async open(init: PartInit): Promise<PartFile> {
    const { path, force } = init
    await writing(path, () => checkReplaceable(path))
    check(force || !(await exists(path)), 'fileExists', `${path} exists already`, {
      facts: { path },
      next: 'pass --force to replace it',
    })
    return await writing(path, async () => {
      const bytes = await continued(init)
      const handle = await open(partOf(path), bytes === 0 ? 'w' : 'r+')
      try {
        await handle.truncate(bytes)
        return new PartFile(init, handle, { bytes, hash: await hashOf(partOf(path), bytes) })
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  /** Bytes that are here. */
  get bytes(): number {
    return this.#bytes
  }

  async write(part: Uint8Array): Promise<void> {
    await writing(this.#path, async () => {
      for (let at = 0; at < part.length; ) {
        const { bytesWritten } = await this.#handle.write(part, at, part.length - at, this.#bytes)
        this.#hash.update(part.subarray(at, at + bytesWritten))
        this.#bytes += bytesWritten
        at += bytesWritten
      }
      if (this.#bytes - this.#recorded >= RECORD_EVERY_BYTES) await this.#record()
    })
  }

  /** Keeps what is here for another time; of nothing no trace is left. */
  async keep(): Promise<void> {
    try {
      if (this.#bytes > 0) await writing(this.#path, () => this.#record())
    } finally {
      await this.#handle.close()
    }
    if (this.#bytes > 0) return
    await rm(partOf(this.#path), { force: true })
    await rm(recordOf(this.#path), { force: true })
  }

  /** Gives the file its name; resolves with the SHA-256 of the whole. */
  async finish(): Promise<string> {
    await writing(this.#path, async () => {
      await this.#handle.sync()
      // Open still: where this fails, what is here can be kept.
      await rename(partOf(this.#path), this.#path)
      await this.#handle.close()
      await rm(recordOf(this.#path), { force: true })
    })
    return this.#hash.digest('hex')
  }

  async #record(): Promise<void> {
    await this.#handle.sync()
    const record = { schema: 1, of: this.#of, bytes: this.#bytes } satisfies z.input<typeof Record>
    const path = recordOf(this.#path)
    await writeFile(`${path}.new`, `${JSON.stringify(record)}\n`)
    await rename(`${path}.new`, path)
    this.#recorded = this.#bytes
  }
}

function partOf(path: string): string {
  return `${path}.part`
}

function recordOf(path: string): string {
  return `${path}.part.json`
}

/** Bytes of an earlier transfer of the same that are safe on disk. */
async function continued({ path, of }: PartInit): Promise<number> {
  const text = await readFile(recordOf(path), 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (text === undefined) return 0
  const record = Record.safeParse(jsonOf(text))
  if (!record.success || record.data.of !== of) return 0
  const size = await stat(partOf(path)).then(
    found => found.size,
    () => 0,
  )
  return size >= record.data.bytes ? record.data.bytes : 0
}

/** Undefined for what is no JSON, as a record that was cut short. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

async function hashOf(path: string, bytes: number): Promise<Hash> {
  const hash = createHash('sha256')
  if (bytes === 0) return hash
  for await (const part of createReadStream(path, { end: bytes - 1 })) hash.update(part)
  return hash
}

/** Before anything is fetched: a file can take the name of a file alone. */
async function checkReplaceable(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT')) throw error
    return undefined
  })
  if (found?.isDirectory()) throw Object.assign(new Error(path), { code: 'EISDIR' })
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'the directory does not exist',
  ENOTDIR: 'its directory is a file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
}

async function writing<T>(path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
    if (code === undefined || cause instanceof CairnError) throw cause
    throw new CairnError('cannotWrite', `cannot write ${path}: ${REASONS[code] ?? code}`, {
      facts: { path, directory: dirname(path), reason: code },
      cause,
      next: 'name another file with -o, or mend this',
    })
  }
}
