import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { sha256 } from '#crypto'
import { fr32Pad } from '../../src/piece/fr32.ts'
import { CommpHasher, hashPiece } from '../../src/piece/hasher.ts'
import {
  dataLeaves,
  PIECE_PAYLOAD_MAX,
  Piece,
  SUBTREE_PAYLOAD,
  subtreeRange,
  treeHeight,
} from '../../src/piece/piece.ts'
import {
  type LeafProof,
  leafProof,
  levelsAbove,
  upperTree,
  verifyLeaf,
  zeroRoot,
} from '../../src/piece/tree.ts'
import { decode, hex } from '../../src/ssz.ts'
import { pattern, zeroRoots } from './vectors.ts'

/** The definition: the whole tree, node by node. */
function rootOf(payload: Uint8Array): Uint8Array {
  const leaves = 2 ** treeHeight({ payload: payload.length })
  const padded = new Uint8Array(leaves * 32)
  padded.set(fr32Pad(payload))
  const climb = (nodes: Uint8Array): Uint8Array => {
    if (nodes.length === 32) return nodes
    const half = nodes.length / 2
    const pair = Uint8Array.of(...climb(nodes.slice(0, half)), ...climb(nodes.slice(half)))
    const node = Uint8Array.from(sha256(pair))
    node[31] = (node[31] as number) & 0x3f
    return node
  }
  return climb(padded)
}

function prove(payload: Uint8Array, index: number): LeafProof {
  const { piece, subtrees } = hashPiece(payload)
  const { offset, length } = subtreeRange(piece, index)
  return leafProof({
    tree: upperTree(piece, subtrees),
    index,
    payload: payload.slice(offset, offset + length),
  })
}

describe('piece tree', () => {
  for (const [height, root] of zeroRoots) {
    it(`knows the root of 2^${height} zero leaves`, () => assert.equal(hex(zeroRoot(height)), root))
  }

  it('is the tree of the definition', () => {
    const lengths = [1, 31, 32, 126, 127, 128, 508, 509, SUBTREE_PAYLOAD - 1, SUBTREE_PAYLOAD]
    for (const length of [...lengths, SUBTREE_PAYLOAD + 1, 3 * SUBTREE_PAYLOAD + 200]) {
      const payload = pattern(length)
      assert.deepEqual(hashPiece(payload).piece, { root: rootOf(payload), payload: length })
    }
  })

  it('is the same however the payload is cut', () => {
    const payload = pattern(17 * SUBTREE_PAYLOAD + 1234)
    const whole = hashPiece(payload)
    assert.deepEqual(whole.piece.root, rootOf(payload))
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: payload.length }), { maxLength: 8 }), cuts => {
        const hasher = new CommpHasher()
        const at = [0, ...cuts.sort((a, b) => a - b), payload.length]
        for (let i = 1; i < at.length; i++) hasher.update(payload.subarray(at[i - 1], at[i]))
        assert.deepEqual(hasher.digest(), whole)
      }),
      { numRuns: 10 },
    )
  })

  it('takes no more bytes than the largest piece has', () => {
    const hasher = new CommpHasher().update(pattern(1))
    // Refused by its length: the bytes are never touched, so they take no memory.
    assert.throws(() => hasher.update(new Uint8Array(PIECE_PAYLOAD_MAX)), { code: 'pieceSize' })
    assert.equal(hasher.payload, 1)
    assert.equal(hasher.update(pattern(2)).digest().piece.payload, 3)
  })

  it('counts the leaves that carry payload', () => {
    const count = (payload: number) => dataLeaves({ payload })
    assert.deepEqual([0, 1, 31, 32, 127, 128, PIECE_PAYLOAD_MAX].map(count), [
      0,
      1,
      1,
      2,
      4,
      5,
      2 ** 25,
    ])
  })
})

describe('leaf proof', () => {
  it('leads every leaf of any payload to the root', () => {
    const sizes = fc.oneof(
      fc.integer({ min: 1, max: 600 }),
      fc.integer({ min: SUBTREE_PAYLOAD - 200, max: 5 * SUBTREE_PAYLOAD }),
    )
    fc.assert(
      fc.property(sizes, fc.nat(), (length, at) => {
        const payload = pattern(length, length)
        const { piece } = hashPiece(payload)
        const index = at % dataLeaves(piece)
        assert.ok(verifyLeaf({ ...prove(payload, index), index, piece }))
      }),
      { numRuns: 60 },
    )
  })

  it('holds for no other leaf, place, piece, path or length', () => {
    const payload = pattern(2 * SUBTREE_PAYLOAD + 99)
    const { piece } = hashPiece(payload)
    const index = 2050
    const proof = prove(payload, index)
    const good = { ...proof, index, piece }
    assert.ok(verifyLeaf(good))
    const swapped = [...proof.path]
    swapped[3] = proof.path[4] as Uint8Array
    const wrong = [
      { ...good, leaf: prove(payload, index + 1).leaf },
      { ...good, index: index + 1 },
      { ...good, index: index ^ 2048 },
      { ...good, index: -1 },
      { ...good, index: 0.5 },
      { ...good, index: dataLeaves(piece) },
      { ...good, path: proof.path.slice(0, -1) },
      { ...good, path: [...proof.path, zeroRoot(13)] },
      { ...good, path: swapped },
      { ...good, path: [] },
      { ...good, leaf: proof.leaf.slice(1) },
      { ...good, path: proof.path.map(node => node.slice(1)) },
      { ...good, piece: { ...piece, root: zeroRoot(13) } },
      { ...good, piece: { ...piece, payload: 5 * SUBTREE_PAYLOAD } },
      { ...good, piece: { ...piece, payload: 2 ** 32 - 1 } },
    ]
    for (const [place, init] of wrong.entries()) assert.ok(!verifyLeaf(init), `case ${place}`)
  })

  it('holds for no leaf of padding, though its path is right', () => {
    const payload = pattern(128)
    const { piece } = hashPiece(payload)
    const levels = levelsAbove(fr32Pad(payload), 0, 3)
    const at = (height: number, place: number) =>
      levels[height]?.slice(32 * place, 32 * place + 32) as Uint8Array
    const climb = (index: number) => {
      const path = [0, 1, 2].map(height => at(height, (index >> height) ^ 1))
      return verifyLeaf({ leaf: at(0, index), path, index, piece })
    }
    assert.equal(dataLeaves(piece), 5)
    assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 7].map(climb), [
      ...Array(5).fill(true),
      ...Array(3).fill(false),
    ])
  })

  it('holds no more when a bit of it is flipped', () => {
    const payload = pattern(5_000)
    const { piece } = hashPiece(payload)
    const proof = prove(payload, 77)
    const nodes = [proof.leaf, ...proof.path]
    fc.assert(
      fc.property(fc.nat(nodes.length - 1), fc.nat(255), (node, bit) => {
        const changed = nodes.map(bytes => bytes.slice())
        const bytes = changed[node] as Uint8Array
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
        const [leaf, ...path] = changed as [Uint8Array, ...Uint8Array[]]
        assert.ok(!verifyLeaf({ leaf, path, index: 77, piece }))
      }),
    )
  })

  it('is refused over damaged bytes or a damaged cache, rather than being wrong', () => {
    const payload = pattern(2 * SUBTREE_PAYLOAD)
    const { piece, subtrees } = hashPiece(payload)
    const first = payload.slice(0, SUBTREE_PAYLOAD)
    const tree = upperTree(piece, subtrees)
    const init = { tree, index: 5, payload: first }
    assert.ok(leafProof(init))
    const damaged = (bytes: Uint8Array, at: number) => {
      const copy = bytes.slice()
      copy[at] = (copy[at] as number) ^ 1
      return copy
    }
    const cases = [
      { ...init, payload: damaged(first, 60_000) },
      { ...init, payload: first.slice(1) },
      { ...init, payload: new Uint8Array(0) },
      { ...init, index: 2050 },
    ]
    for (const broken of cases) assert.throws(() => leafProof(broken), { code: 'pieceDamaged' })
    const longer = new Uint8Array([...subtrees, ...zeroRoot(11)])
    const caches = [damaged(subtrees, 3), damaged(subtrees, 35), subtrees.slice(32), longer]
    for (const cache of [...caches, new Uint8Array(0), subtrees.slice(1)]) {
      assert.throws(() => upperTree(piece, cache), { code: 'pieceDamaged' })
    }
  })
})

describe('piece codec', () => {
  it('has known bytes', () => {
    const bytes = Piece.serialize({ root: new Uint8Array(32).fill(1), payload: 258 })
    assert.equal(hex(bytes), `${'01'.repeat(32)}02010000`)
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
        if (bytes.length === 36) assert.deepEqual(Piece.serialize(decode(Piece, bytes)), bytes)
        else assert.throws(() => decode(Piece, bytes), { code: 'badLength' })
      }),
    )
  })
})
