import { strict as assert } from 'node:assert'
import { ListCompositeType } from '@chainsafe/ssz'
import fc from 'fast-check'
import { CarriedContainerType } from '../src/carried.ts'
import { Bytes32, ContainerType, Uint32 } from '../src/ssz.ts'

const FIELDS = { epoch: Uint32, hash: Bytes32 }
const Plain = new ListCompositeType(new ContainerType(FIELDS), 64)
const Carried = new ListCompositeType(new CarriedContainerType(FIELDS), 64)

describe('a carried container', () => {
  const value = fc.record({
    epoch: fc.nat(),
    hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  })

  it('has the roots of a plain one, whatever was asked before', () => {
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 20 }),
        fc.array(value, { maxLength: 20 }),
        (a, b) => {
          for (const list of [a, [...a, ...b], b.concat(a)]) {
            assert.deepEqual(Carried.hashTreeRoot(list), Plain.hashTreeRoot(list))
          }
        },
      ),
    )
  })

  it('finds the root of a copy with another field anew', () => {
    const first = { epoch: 1, hash: new Uint8Array(32) }
    Carried.hashTreeRoot([first])
    const other = { ...first, epoch: 2 }
    assert.deepEqual(Carried.hashTreeRoot([other]), Plain.hashTreeRoot([other]))
  })

  it('hands out roots that nobody else changes', () => {
    const type = new CarriedContainerType(FIELDS)
    const one = { epoch: 1, hash: new Uint8Array(32) }
    const root = Buffer.alloc(32)
    type.hashTreeRootInto(one, root, 0)
    const expected = Buffer.from(root)
    root.fill(0)
    assert.deepEqual(Buffer.from(type.hashTreeRoot(one)), expected)
  })

  it('finds a root once', () => {
    const type = new CarriedContainerType(FIELDS)
    let reads = 0
    const one = {
      get epoch() {
        reads++
        return 1
      },
      hash: new Uint8Array(32),
    }
    type.hashTreeRoot(one)
    type.hashTreeRoot(one)
    assert.equal(reads, 1)
  })
})
