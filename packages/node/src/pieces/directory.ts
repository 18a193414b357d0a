/** A volume that is a directory. */
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { CairnError } from '@cairn/protocol'
import {
  type ByteSource,
  decodeLabel,
  encodeLabel,
  LABEL_NAME,
  type Staged,
  type Volume,
  type VolumeLabel,
  volumeExists,
  volumeUnreachable,
} from './volume.ts'

/** What is being written. */
const INCOMING = 'incoming'
/** A label is a line of text. */
const LABEL_MAX_BYTES = 4096

export class DirectoryVolume implements Volume {
  readonly location: string
  /** Folders whose own names are durable: as many as the layout has. */
  readonly #settled = new Set<string>()
  #staged = 0

  constructor(directory: string) {
    this.location = directory
  }

  async label(): Promise<VolumeLabel | undefined> {
    let bytes: Uint8Array | undefined
    try {
      bytes = await this.read(LABEL_NAME, 0, LABEL_MAX_BYTES)
    } catch (cause) {
      throw volumeUnreachable(this.location, cause)
    }
    return bytes && decodeLabel(bytes, this.location)
  }

  async create(label: VolumeLabel): Promise<void> {
    const whole = this.#path(LABEL_NAME)
    const fresh = `${whole}.new`
    try {
      if ((await this.size(LABEL_NAME)) !== undefined) throw volumeExists(this.location)
      await mkdir(this.location, { recursive: true })
      await rm(fresh, { force: true })
      await writeSynced(fresh, [encodeLabel(label)])
      // A label that a crash cut short would be nobody's.
      await rename(fresh, whole)
      await syncDirectory(this.location)
    } catch (cause) {
      throw cause instanceof CairnError ? cause : volumeUnreachable(this.location, cause)
    }
  }

  async sweep(): Promise<void> {
    await rm(this.#path(INCOMING), { recursive: true, force: true })
  }

  async stage(source: ByteSource): Promise<Staged> {
    const path = this.#path(join(INCOMING, String(this.#staged++)))
    try {
      await mkdir(dirname(path), { recursive: true })
      await writeSynced(path, source)
    } catch (error) {
      await rm(path, { force: true })
      throw isCode(error, 'ENOSPC') ? await this.#diskFull(error) : error
    }
    return {
      place: async name => {
        await mkdir(dirname(this.#path(name)), { recursive: true })
        await rename(path, this.#path(name))
      },
      discard: () => rm(path, { force: true }),
    }
  }

  async settle(names: readonly string[]): Promise<void> {
    for (const folder of new Set(names.map(dirname))) {
      await syncDirectory(this.#path(folder))
      if (this.#settled.has(folder)) continue
      // It may be new itself, and is then a name in the one above it.
      for (let at = folder; at !== '.'; at = dirname(at))
        await syncDirectory(this.#path(dirname(at)))
      this.#settled.add(folder)
    }
  }

  async read(name: string, offset: number, length: number): Promise<Uint8Array | undefined> {
    let file: FileHandle
    try {
      file = await open(this.#path(name), 'r')
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined
      throw error
    }
    try {
      const bytes = new Uint8Array(length)
      let at = 0
      while (at < length) {
        const { bytesRead } = await file.read(bytes, at, length - at, offset + at)
        if (bytesRead === 0) break
        at += bytesRead
      }
      return bytes.subarray(0, at)
    } finally {
      await file.close()
    }
  }

  async size(name: string): Promise<number | undefined> {
    try {
      return (await stat(this.#path(name))).size
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined
      throw error
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(this.#path(name), { force: true })
    for (const folder of new Set(names.map(dirname))) await this.#sync(folder)
  }

  async move(from: string, to: string): Promise<boolean> {
    await mkdir(dirname(this.#path(to)), { recursive: true })
    try {
      await rename(this.#path(from), this.#path(to))
    } catch (error) {
      if (isCode(error, 'ENOENT')) return false
      throw error
    }
    await this.settle([to])
    await this.#sync(dirname(from))
    return true
  }

  async *list(prefix: string): AsyncGenerator<{ name: string; bytes: number }> {
    const root = this.#path(dirname(`${prefix}.`))
    for (const folders = [root]; folders.length > 0; ) {
      const folder = folders.pop() as string
      for (const entry of await entriesOf(folder)) {
        const path = join(folder, entry.name)
        if (entry.isDirectory()) folders.push(path)
        const name = relative(this.location, path)
        if (!entry.isFile() || !name.startsWith(prefix)) continue
        const bytes = await this.size(name)
        if (bytes !== undefined) yield { name, bytes }
      }
    }
  }

  async free(): Promise<number | undefined> {
    const { bavail, bsize } = await statfs(this.location)
    return bavail * bsize
  }

  async #diskFull(cause: unknown): Promise<CairnError> {
    return new CairnError('volumeFull', 'the disk of the volume is full', {
      facts: { location: this.location, free: await this.free() },
      next: 'free space on the disk, or lower the quota',
      cause,
    })
  }

  async #sync(folder: string): Promise<void> {
    try {
      await syncDirectory(this.#path(folder))
    } catch (error) {
      if (!isCode(error, 'ENOENT')) throw error
    }
  }

  #path(name: string): string {
    return join(this.location, name)
  }
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
}

/** Writes a new file and syncs it. */
async function writeSynced(path: string, source: ByteSource): Promise<void> {
  const file = await open(path, 'wx')
  try {
    for await (const bytes of source) {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
        at += bytesWritten
      }
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes names in a directory durable. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code
}
