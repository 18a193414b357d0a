import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createVolume, openPieceStore, type PieceStore, pullPiece, servePieces } from '@cairn/node'
import { clock, network, quietLog } from '../network/world.ts'

const PIECE_BYTES = 20 * 1024 * 1024 + 77

describe('pieces over libp2p', () => {
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-transfer-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  async function store(name: string): Promise<PieceStore> {
    const init = { directory: join(directory, name), volume: name, quota: 1024 ** 3 }
    await createVolume(init)
    return await openPieceStore({ log: quietLog() }, init)
  }

  async function* payload() {
    for (let left = PIECE_BYTES, part = 0; left > 0; part++) {
      const bytes = new Uint8Array(Math.min(left, 1024 * 1024)).fill(part)
      left -= bytes.length
      yield bytes
    }
  }

  it('come from disk to disk, verified', async () => {
    const [from, to] = [await store('from'), await store('to')]
    const piece = await from.put(payload())
    const { nodes, stop } = await network({ nodes: 2 })
    try {
      const [holder, receiver] = nodes
      assert.ok(holder && receiver)
      servePieces(holder, [from])
      const { signal } = new AbortController()
      const peers = [holder.self]
      const source = pullPiece({ network: receiver, clock }, { piece, peers, signal })
      assert.deepEqual(await to.put(source, { expected: piece, signal }), piece)
      assert.deepEqual(await to.prove(piece, 400_000), await from.prove(piece, 400_000))
    } finally {
      await stop()
    }
  })
})
