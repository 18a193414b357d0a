import { CairnError, invariant } from '@cairn/protocol'
import { Level } from 'level'
import type { Store, Write } from '../ports.ts'

/** Entries taken from LevelDB per call while a range is read. */
const READ_AHEAD = 256

type Bytes = Uint8Array
type Database = Level<Bytes, Bytes>
type Space = ReturnType<typeof spaceOf>

const SUBLEVEL_NAME = /^[a-zA-Z0-9-]+$/

/** Keys and values as plain bytes, so that keys compare bytewise. */
const BYTES = { keyEncoding: 'view', valueEncoding: 'view' } as const

/**
 * Opens, or creates, the LevelDB in `directory`.
 *
 * Errors: `dataDirLocked` when another process or store holds it, `storeCorrupt`, and
 * `storeUnavailable` for everything else that LevelDB says.
 */
export async function openLevelStore(directory: string): Promise<Store> {
  const database: Database = new Level<Bytes, Bytes>(directory, BYTES)
  try {
    await database.open()
  } catch (cause) {
    throw openError(directory, cause)
  }
  return levelStore(database, '/')
}

/**
 * `path` is '/' for the store itself and '/a/b' for a sublevel of a sublevel. Each is one flat
 * sublevel of LevelDB: nested ones would show up in the ranges of those around them.
 */
function levelStore(database: Database, path: string): Store {
  const space = spaceOf(database, path)
  return {
    async get(key) {
      const value = await guarded(() => space.get(key))
      return value === undefined ? undefined : plain(value)
    },
    batch(writes, options) {
      const operations = writes.map(write => operation(space, write))
      return guarded(() => database.batch(operations, { sync: options?.sync ?? false }))
    },
    range: options => {
      if (database.status !== 'open') throw closedError()
      return entries(iterate(space, options))
    },
    sublevel: name => {
      invariant(SUBLEVEL_NAME.test(name), `'${name}' is the name of a sublevel`)
      return levelStore(database, path === '/' ? `/${name}` : `${path}/${name}`)
    },
    close: () => database.close(),
  }
}

function spaceOf(database: Database, path: string) {
  return database.sublevel<Bytes, Bytes>(path, BYTES)
}

function operation(sublevel: Space, { key, value }: Write) {
  if (value === undefined) return { type: 'del' as const, key, sublevel }
  return { type: 'put' as const, key, value, sublevel }
}

function iterate(space: Space, options: Parameters<Store['range']>[0]) {
  return space.iterator<Bytes, Bytes>(options)
}

async function* entries(
  iterator: ReturnType<typeof iterate>,
): AsyncGenerator<readonly [Bytes, Bytes]> {
  try {
    for (;;) {
      const page = await guarded(() => iterator.nextv(READ_AHEAD))
      if (page.length === 0) return
      for (const [key, value] of page) yield [plain(key), plain(value)] as const
    }
  } finally {
    await iterator.close()
  }
}

/** LevelDB gives Buffers, whose `slice` shares memory where that of other byte arrays copies. */
function plain(buffer: Bytes): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}

async function guarded<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'LEVEL_DATABASE_NOT_OPEN' || code === 'LEVEL_ITERATOR_NOT_OPEN') {
      throw closedError(cause)
    }
    if (code === 'LEVEL_CORRUPTION') throw corruptError(cause)
    throw new CairnError('storeUnavailable', 'the store did not do what it was asked', {
      cause,
      facts: { code },
      next: 'See the cause; a full or failing disk is the usual one.',
    })
  }
}

function openError(directory: string, error: unknown): CairnError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const code = codeOf(cause)
  if (code === 'LEVEL_LOCKED') {
    return new CairnError('dataDirLocked', `another process has the store in ${directory} open`, {
      cause,
      facts: { directory },
      next: 'Stop the other daemon first, or give this one its own data directory.',
    })
  }
  if (code === 'LEVEL_CORRUPTION') return corruptError(cause, directory)
  return new CairnError('storeUnavailable', `cannot open the store in ${directory}`, {
    cause,
    facts: { directory, code },
    next: 'Check that the directory exists on a healthy disk and belongs to this user.',
  })
}

function closedError(cause?: unknown): CairnError {
  return new CairnError('storeClosed', 'the store is closed', { cause })
}

function corruptError(cause: unknown, directory?: string): CairnError {
  return new CairnError('storeCorrupt', 'the store does not read back as it was written', {
    cause,
    facts: { directory },
    next: 'Restore a backup, or remove the directory and sync from the peers.',
  })
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
