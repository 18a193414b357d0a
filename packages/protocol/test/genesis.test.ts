import { strict as assert } from 'node:assert'
import {
  Checkpoint,
  checkpointRoot,
  decode,
  emptyState,
  GENESIS_EPOCH,
  genesisCheckpoint,
  hex,
  type Kind,
  ListDepth,
  listRoot,
  Payout,
  State,
} from '@cairn/protocol'
import { bytes32, KernelWorld } from './kernel-world.ts'
import { ECHO, echo } from './kinds/trivial.ts'

const ECHOES = [echo as unknown as Kind<unknown>]
const init = { committee: bytes32('committee'), rulesVersion: 3 }
const world = new KernelWorld({ activity: [{ node: 1, epoch: 0 }] })

describe('genesis checkpoint', () => {
  const checkpoint = genesisCheckpoint({ ...init, state: world.state, kinds: ECHOES })

  it('stands before epoch 0 and rests on nothing', () => {
    assert.equal(checkpoint.epoch, 2n ** 64n - 1n)
    assert.equal(checkpoint.epoch, GENESIS_EPOCH)
    assert.equal(BigInt.asUintN(64, checkpoint.epoch + 1n), 0n)
    assert.deepEqual(checkpoint.base, { number: 0n, hash: new Uint8Array(32) })
    assert.deepEqual(checkpoint.parent, new Uint8Array(32))
  })

  it('holds committee, rules and the initial state', () => {
    assert.deepEqual(checkpoint.nextCommittee, init.committee)
    assert.equal(checkpoint.rulesVersion, 3)
    assert.deepEqual(checkpoint.state, world.state.root())
    assert.notDeepEqual(checkpoint.state, emptyState(ECHOES).root())
  })

  it('holds no messages, payouts, penalties, deals or totals', () => {
    assert.deepEqual(checkpoint.messages, listRoot([], ListDepth.messages))
    assert.deepEqual(checkpoint.payouts, listRoot([], ListDepth.payouts))
    assert.deepEqual(checkpoint.penalties, listRoot([], ListDepth.penalties))
    assert.deepEqual(checkpoint.deals, listRoot([], ListDepth.deals))
    assert.deepEqual([...new Set(Object.values(checkpoint.counts).flat())], [0])
    assert.deepEqual([checkpoint.earnedTotal, checkpoint.spentTotal], [0n, 0n])
  })

  it('holds the initial deals of the kind that has them', () => {
    const root = bytes32('deals')
    const kinds = [{ ...echo, dealsRoot: () => root } as unknown as Kind<unknown>]
    const { deals } = genesisCheckpoint({ ...init, state: world.state, kinds })
    assert.equal(hex(deals), hex(root))
  })

  it('names the payouts that its state begins with', () => {
    const payout = { account: new Uint8Array(20).fill(1), earned: 2n, spent: 0n }
    const core = { ...world.state.core, payouts: [payout] }
    const state = new State(core, ECHOES, new Map([[ECHO, echo.emptyState()]]))
    const { payouts } = genesisCheckpoint({ ...init, state, kinds: ECHOES })
    assert.deepEqual(payouts, listRoot([Payout.hashTreeRoot(payout)], ListDepth.payouts))
  })

  it('has an encoding and a root like any other', () => {
    const bytes = Checkpoint.serialize(checkpoint)
    assert.equal(bytes.length, 468)
    assert.deepEqual(decode(Checkpoint, bytes), checkpoint)
    assert.deepEqual(checkpointRoot(decode(Checkpoint, bytes)), checkpointRoot(checkpoint))
  })
})
