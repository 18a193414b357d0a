import { strict as assert } from 'node:assert'
import type { Piece, UpperTree } from '@cairn/protocol'
import { TREES_MAX_BYTES, Trees } from '../../src/pieces/trees.ts'

const BYTES = TREES_MAX_BYTES / 4
const pieceOf = (name: number): Piece => ({ root: new Uint8Array(32).fill(name), payload: 1 })

describe('trees in memory', () => {
  let loaded: number[]
  let trees: Trees

  beforeEach(() => {
    loaded = []
    trees = new Trees(async (piece): Promise<UpperTree> => {
      loaded.push(piece.root[0] as number)
      return { piece, levels: [new Uint8Array(BYTES)] }
    })
  })

  it('are loaded once', async () => {
    const first = await trees.get(pieceOf(1))
    assert.equal(await trees.get(pieceOf(1)), first)
    assert.deepEqual(loaded, [1])
    assert.equal(trees.bytes, BYTES)
  })

  it('make room for others, those used longest ago first', async () => {
    for (const name of [1, 2, 3, 4]) await trees.get(pieceOf(name))
    assert.equal(trees.bytes, TREES_MAX_BYTES)
    await trees.get(pieceOf(1))
    await trees.get(pieceOf(5))
    assert.equal(trees.bytes, TREES_MAX_BYTES)
    await trees.get(pieceOf(1))
    await trees.get(pieceOf(2))
    assert.deepEqual(loaded, [1, 2, 3, 4, 5, 2])
  })

  it('are counted once when they are asked for at the same time, and forgotten', async () => {
    await Promise.all([trees.get(pieceOf(1)), trees.get(pieceOf(1))])
    assert.equal(trees.bytes, BYTES)
    trees.forget(pieceOf(1))
    trees.forget(pieceOf(2))
    assert.equal(trees.bytes, 0)
    await trees.get(pieceOf(1))
    assert.equal(loaded.at(-1), 1)
  })

  it('are not held when they cannot be loaded', async () => {
    const broken = new Trees(async () => {
      throw new Error('no disk')
    })
    await assert.rejects(broken.get(pieceOf(1)), /no disk/)
    assert.equal(broken.bytes, 0)
  })
})
