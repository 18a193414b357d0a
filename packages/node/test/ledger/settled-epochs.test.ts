import { strict as assert } from 'node:assert'
import { EPOCHS_KEPT, type SettledEpoch, SettledEpochs, settledEpoch } from '@cairn/node'
import { settle } from '@cairn/protocol'
import { bytes32, KernelWorld } from '../../../protocol/test/kernel-world.ts'

const world = new KernelWorld()
const whole = settledEpoch(settle({ ...world.settlement([]), nextCommittee: bytes32('next') }))

describe('what was settled in an epoch', () => {
  let summed: number[]
  let result: () => Promise<SettledEpoch | undefined>
  let settled: SettledEpochs

  beforeEach(() => {
    summed = []
    result = async () => whole
    settled = new SettledEpochs(epoch => {
      summed.push(epoch)
      return result()
    })
  })

  it('is summed up once, also for those who ask meanwhile', async () => {
    assert.deepEqual(await Promise.all([settled.of(3), settled.of(3)]), [whole, whole])
    assert.equal(await settled.of(3), whole)
    assert.deepEqual(summed, [3])
  })

  it('is not summed up again where the checkpoint was computed here', async () => {
    settled.keep(3, whole)
    assert.equal(await settled.of(3), whole)
    assert.deepEqual(summed, [])
  })

  it('is asked for again where it could not be had', async () => {
    result = async () => undefined
    assert.equal(await settled.of(3), undefined)
    result = () => Promise.reject(new Error('the disk'))
    await assert.rejects(settled.of(3), /the disk/)
    result = async () => whole
    assert.equal(await settled.of(3), whole)
    assert.deepEqual(summed, [3, 3, 3])
  })

  it('is kept of the epochs used last', async () => {
    for (let epoch = 0; epoch < EPOCHS_KEPT; epoch++) await settled.of(epoch)
    await settled.of(0)
    await settled.of(EPOCHS_KEPT)
    summed = []
    await settled.of(0)
    await settled.of(EPOCHS_KEPT)
    assert.deepEqual(summed, [])
    await settled.of(1)
    assert.deepEqual(summed, [1])
  })
})
