/** A file stored with two providers, against one local copy of it. */
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createVolume, type Hashing, openPieceStore, ownThread, type PieceStore } from '@cairn/node'
import { CommpHasher, payloadCapacity } from '@cairn/protocol'
import { quietLog } from '../packages/node/test/network/world.ts'
import { compare, type Line, perSecond, rounded } from './measure.ts'
import { startProviders } from './providers.ts'

const FILE_BYTES = 64 * 2 ** 20
/** What is hashed as one piece in the bare copy. */
const PIECE_BYTES = payloadCapacity(19)
const CHUNK_BYTES = 64 * 1024

export interface StoreInit {
  quota?: number
  /** By default the caller's own thread. */
  hashing?: Hashing
}

export async function openStore(
  directory: string,
  { quota = 2 ** 30, hashing = ownThread }: StoreInit = {},
): Promise<PieceStore> {
  await createVolume({ directory, volume: 'bench' })
  const init = { directory, volume: 'bench', quota }
  return openPieceStore({ log: quietLog(), hashing }, init)
}

export async function put(directory: string): Promise<Line> {
  const file = randomBytes(FILE_BYTES)
  const stores = [await openStore(join(directory, 'a')), await openStore(join(directory, 'b'))]
  const cache = await openStore(join(directory, 'cache'))
  const providers = await startProviders(stores, cache)
  try {
    const { ours, other, ratio } = await compare({
      rounds: 5,
      warmUps: 1,
      prepare: () => Promise.all(stores.flatMap(store => store.list().map(p => store.delete(p)))),
      ours: () => providers.put(chunks(file)),
      other: () => writeAndHash(join(directory, 'bare'), file),
    })
    const speed = (ms: number) => perSecond(FILE_BYTES / 1e6, ms)
    const against = `one local copy written, synced and hashed: ${rounded(speed(other))} MB/s`
    return { name: 'put', value: speed(ours), unit: 'MB/s', ratio, against }
  } finally {
    await providers.stop()
  }
}

function* chunks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
}

async function writeAndHash(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w')
  try {
    let hasher = new CommpHasher()
    for (const chunk of chunks(bytes)) {
      if (hasher.payload + chunk.length > PIECE_BYTES) {
        hasher.digest()
        hasher = new CommpHasher()
      }
      hasher.update(chunk)
      await file.write(chunk)
    }
    hasher.digest()
    await file.sync()
  } finally {
    await file.close()
  }
}
