/** A file stored with two providers, against one local copy of it. */
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { CommpHasher, payloadCapacity } from '@cairn/protocol'
import { startClient } from './market-client.ts'
import { compare, type Line, perSecond, rounded } from './measure.ts'
import { startProviders } from './providers.ts'
import { openStore } from './volume.ts'

const FILE_BYTES = 64 * 2 ** 20
/** What is hashed as one piece in the bare copy. */
const PIECE_BYTES = payloadCapacity(19)
const CHUNK_BYTES = 64 * 1024
export async function put(directory: string): Promise<Line> {
  const file = randomBytes(FILE_BYTES)
  const stores = [await openStore(join(directory, 'a')), await openStore(join(directory, 'b'))]
  const providers = await startProviders(stores)
  const client = await startClient(providers.market, await openStore(join(directory, 'cache')))
  try {
    const { ours, other, ratio } = await compare({
      rounds: 5,
      warmUps: 1,
      prepare: () => Promise.all(stores.flatMap(store => store.list().map(p => store.delete(p)))),
      ours: () => client.put(parts(file), { data: 1, total: stores.length }),
      other: () => writeAndHash(join(directory, 'bare'), file),
    })
    const speed = (ms: number) => perSecond(FILE_BYTES / 1e6, ms)
    const against = `one local copy written, synced and hashed: ${rounded(speed(other))} MB/s`
    return { name: 'put', value: speed(ours), unit: 'MB/s', ratio, against }
  } finally {
    await client.stop()
    await providers.stop()
  }
}

async function* parts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* chunks(bytes)
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
