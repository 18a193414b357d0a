import { strict as assert } from 'node:assert'
import { ByteVectorType, ListCompositeType } from '@chainsafe/ssz'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import { Checkpoint, CheckpointField, checkpointRoot } from '../src/checkpoint.ts'
import {
  checkpointFieldProof,
  inclusionIndex,
  inclusionProof,
  ListDepth,
  type ListField,
  ListTree,
  listProof,
  listRoot,
  PATH_MAX,
  verifyInclusion,
  verifyPath,
} from '../src/tree.ts'

const fields: ListField[] = ['messages', 'payouts', 'penalties', 'deals']
const lists = new Map(
  [24, 32].map(depth => [depth, new ListCompositeType(new ByteVectorType(32), 2 ** depth)]),
)

function leavesOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => sha256(Uint8Array.of(i, i >> 8, i >> 16)))
}

function sszRoot(leaves: Uint8Array[], depth: number): Uint8Array {
  const type = lists.get(depth)
  assert.ok(type)
  return type.hashTreeRoot(leaves)
}

function checkpointWith(field: ListField, leaves: Uint8Array[]): Checkpoint {
  return {
    ...Checkpoint.defaultValue(),
    epoch: 7n,
    parent: new Uint8Array(32).fill(8),
    earnedTotal: 10n ** 21n,
    nextCommittee: new Uint8Array(32).fill(9),
    rulesVersion: 1,
    [field]: listRoot(leaves, ListDepth[field]),
  }
}

/** Every node of `path` with one byte changed in turn. */
function* tampered(path: readonly Uint8Array[]): Generator<Uint8Array[]> {
  for (const [height, node] of path.entries()) {
    for (let at = 0; at < node.length; at++) yield path.with(height, changed(node, at))
  }
}

function changed(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.with(at, (bytes[at] as number) ^ 0x10)
}

const size = fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(63, 64, 65, 127, 128, 129, 1000))
const depth = fc.constantFrom(24, 32)

describe('list root', () => {
  it('is the SSZ root of the list', () => {
    fc.assert(
      fc.property(size, depth, (count, levels) => {
        const leaves = leavesOf(count)
        assert.deepEqual(listRoot(leaves, levels), sszRoot(leaves, levels))
      }),
      { numRuns: 60 },
    )
  })

  it('is fixed for the empty list and for three leaves', () => {
    assert.equal(
      bytesToHex(listRoot([], 24)),
      'a75b0948052d091c3cb41f390e76fc7cb987b787bf4063c563e09266a357dea1',
    )
    assert.equal(
      bytesToHex(listRoot([], 32)),
      'd70a234731285c6804c2a4f56711ddb8c82c99740f207854891028af34e27e5e',
    )
    assert.equal(
      bytesToHex(listRoot(leavesOf(3), 32)),
      '5c1f69a3178371243ea0d5c6e061c2268b8d11a689caf9908519578cd281bf21',
    )
  })

  it('tells a missing leaf from a zero leaf', () => {
    assert.notDeepEqual(listRoot([new Uint8Array(32)], 32), listRoot([], 32))
  })

  it('takes as many leaves as the depth allows and no more', () => {
    const full = new ListCompositeType(new ByteVectorType(32), 4)
    assert.deepEqual(listRoot(leavesOf(4), 2), full.hashTreeRoot(leavesOf(4)))
    assert.throws(() => listRoot(leavesOf(5), 2), { code: 'listLength' })
  })

  it('refuses leaves that are not 32 bytes', () => {
    assert.throws(() => listRoot([new Uint8Array(32), new Uint8Array(31)], 32), /32 bytes/)
  })
})

describe('list proof', () => {
  it('leads every leaf to the SSZ root', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), depth, (count, levels) => {
        const leaves = leavesOf(count)
        const root = sszRoot(leaves, levels)
        const tree = new ListTree(leaves, levels)
        assert.equal(tree.length, count)
        for (const [position, leaf] of leaves.entries()) {
          const path = tree.proof(position)
          assert.equal(path.length, levels + 1)
          assert.ok(verifyPath({ leaf, index: BigInt(position), path, root }))
          assert.ok(!verifyPath({ leaf, index: BigInt(position ^ 1), path, root }))
        }
      }),
      { numRuns: 20 },
    )
  })

  it('holds at the last place of a full tree', () => {
    const leaves = leavesOf(8)
    const path = listProof(leaves, 7, 3)
    const leaf = leaves[7] as Uint8Array
    assert.ok(verifyPath({ leaf, index: 7n, path, root: listRoot(leaves, 3) }))
  })

  it('refuses a position that has no leaf', () => {
    for (const position of [-1, 3, 0.5, 2 ** 32, Number.NaN]) {
      assert.throws(() => listProof(leavesOf(3), position, 32), { code: 'leafPosition' })
    }
    assert.throws(() => listProof([], 0, 32), { code: 'leafPosition' })
  })
})

describe('path', () => {
  const leaves = leavesOf(5)
  const path = listProof(leaves, 4, 24)
  const leaf = leaves[4] as Uint8Array
  const branch = { leaf, index: 4n, path, root: listRoot(leaves, 24) }

  it('fails with any byte changed', () => {
    assert.ok(verifyPath(branch))
    for (const other of tampered(path)) assert.ok(!verifyPath({ ...branch, path: other }))
    for (let at = 0; at < 32; at++) {
      assert.ok(!verifyPath({ ...branch, leaf: changed(leaf, at) }))
      assert.ok(!verifyPath({ ...branch, root: changed(branch.root, at) }))
    }
  })

  it('fails with any bit of the index changed, and with an index beyond the path', () => {
    for (let bit = 0n; bit < BigInt(path.length) + 3n; bit++) {
      assert.ok(!verifyPath({ ...branch, index: branch.index ^ (1n << bit) }))
    }
    assert.ok(!verifyPath({ ...branch, index: -1n }))
  })

  it('fails with nodes of another length, and with too many of them', () => {
    assert.ok(!verifyPath({ ...branch, leaf: leaf.subarray(1) }))
    assert.ok(!verifyPath({ ...branch, root: branch.root.subarray(1) }))
    assert.ok(!verifyPath({ ...branch, path: path.with(0, new Uint8Array(33)) }))
    assert.ok(!verifyPath({ ...branch, path: path.slice(1) }))
    const endless = Array.from({ length: PATH_MAX + 1 }, () => leaf)
    assert.ok(!verifyPath({ ...branch, path: endless }))
  })
})

describe('checkpoint field proof', () => {
  it('leads the root of every named field to the root of the checkpoint', () => {
    const checkpoint = {
      ...checkpointWith('deals', leavesOf(3)),
      state: new Uint8Array(32).fill(4),
      penalties: new Uint8Array(32).fill(5),
    }
    for (const field of Object.keys(CheckpointField) as CheckpointField[]) {
      const path = checkpointFieldProof(checkpoint, field)
      const branch = { leaf: checkpoint[field], path, root: checkpointRoot(checkpoint) }
      assert.equal(path.length, 4)
      assert.ok(verifyPath({ ...branch, index: BigInt(CheckpointField[field]) }))
      assert.ok(!verifyPath({ ...branch, index: BigInt(CheckpointField[field] ^ 1) }))
    }
  })
})

describe('inclusion in a checkpoint', () => {
  for (const field of fields) {
    it(`leads a leaf of ${field} to the root of the checkpoint in one path`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), (count, seed) => {
          const leaves = leavesOf(count)
          const checkpoint = checkpointWith(field, leaves)
          const position = seed % count
          const proof = inclusionProof({ checkpoint, field, leaves, position })
          const root = checkpointRoot(checkpoint)
          assert.equal(proof.path.length, ListDepth[field] + 5)
          assert.equal(proof.index, inclusionIndex(field, position))
          assert.ok(verifyPath({ ...proof, root }))
          assert.ok(verifyInclusion(root, proof))
        }),
        { numRuns: 15 },
      )
    })
  }

  const leaves = leavesOf(6)
  const checkpoint = checkpointWith('payouts', leaves)
  const root = checkpointRoot(checkpoint)
  const proof = inclusionProof({ checkpoint, field: 'payouts', leaves, position: 5 })

  it('is fixed for a given checkpoint', () => {
    assert.equal(
      bytesToHex(root),
      'a43874fcb2a4ad457f1733b893ddfdee2abef8dba043dde81dabb738c2b8130c',
    )
    assert.equal(
      bytesToHex(proof.leaf),
      '69c492e24afa52c556de5ea70e1b5d7da3f0bc7a5a7fd1d413444c1a42a7e9b3',
    )
    assert.equal(proof.index, 42949672965n)
    assert.equal(
      bytesToHex(sha256(Buffer.concat(proof.path))),
      'b4e6dd572ca69dd1e66050a8e86a1de1536938d33698c89a5c4fc5af2f56eb29',
    )
  })

  it('has the length of the list as its node above the siblings, little-endian', () => {
    assert.equal(bytesToHex(proof.path[32] as Uint8Array), `06${'00'.repeat(31)}`)
  })

  it('fails with any byte of the path changed', () => {
    for (const path of tampered(proof.path)) assert.ok(!verifyInclusion(root, { ...proof, path }))
  })

  it('fails for another leaf, position, field or checkpoint', () => {
    const [leaf] = leaves as [Uint8Array]
    assert.ok(!verifyInclusion(root, { ...proof, leaf }))
    for (const position of [4, 6, -1, 0.5, 2 ** 32, 5 + 2 ** 33]) {
      assert.ok(!verifyInclusion(root, { ...proof, position }))
    }
    for (const field of ['messages', 'penalties', 'deals'] as const) {
      assert.ok(!verifyInclusion(root, { ...proof, field }))
    }
    assert.ok(!verifyInclusion(new Uint8Array(32), proof))
  })

  it('fails for a node inside the tree that is passed off as a leaf', () => {
    const node = sha256(Buffer.concat([leaves[4] as Uint8Array, leaves[5] as Uint8Array]))
    const inner = { ...proof, leaf: node, position: 2, path: proof.path.slice(1) }
    const index = proof.index >> 1n
    assert.ok(verifyPath({ leaf: node, index, path: inner.path, root }), 'is a true path')
    assert.ok(!verifyInclusion(root, inner))
  })

  it('fails for padding past the end of the list', () => {
    const path = [leaves[5] as Uint8Array, ...proof.path.slice(1)]
    const odd = leaves.slice(0, 5)
    const short = checkpointWith('payouts', odd)
    const last = inclusionProof({ checkpoint: short, field: 'payouts', leaves: odd, position: 4 })
    const padding = {
      ...last,
      leaf: new Uint8Array(32),
      position: 5,
      path: last.path.with(0, last.leaf),
    }
    const index = inclusionIndex('payouts', 5)
    assert.ok(verifyPath({ ...padding, index, root: checkpointRoot(short) }), 'is a true path')
    assert.ok(!verifyInclusion(checkpointRoot(short), padding))
    assert.ok(!verifyInclusion(root, { ...proof, path }))
  })

  it('is not made from leaves that are not the checkpoint’s', () => {
    assert.throws(
      () => inclusionProof({ checkpoint, field: 'payouts', leaves: leavesOf(5), position: 1 }),
      { code: 'listRoot', facts: { field: 'payouts', leaves: 5 } },
    )
    assert.throws(() => inclusionProof({ checkpoint, field: 'payouts', leaves, position: 6 }), {
      code: 'leafPosition',
    })
  })
})
