import { strict as assert } from 'node:assert'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CastVote, type DoubleVote, openLevelStore, type Store } from '@cairn/node'
import {
  DOUBLE_VOTES_MAX,
  type KeptPenalty,
  Offences,
  PENALTIES_MAX,
} from '../../src/ledger/offences.ts'

const penalty = (epoch: number, node: number, change: Partial<KeptPenalty> = {}): KeptPenalty => ({
  epoch,
  node,
  amount: 10n ** 20n,
  evidence: new Uint8Array(32).fill(1),
  rival: new Uint8Array(32).fill(2),
  messageType: 5,
  state: 'open',
  ...change,
})

const votes = (epoch: number, node: number, round = 1): DoubleVote => ({
  epoch,
  node,
  round,
  key: new Uint8Array(48).fill(3),
  votes: [cast(1), cast(2)],
})

function cast(fill: number): CastVote {
  return {
    checkpoint: new Uint8Array(32).fill(fill),
    signature: new Uint8Array(96).fill(fill),
  }
}

describe('what costs bond', () => {
  let directory: string
  let store: Store
  let offences: Offences

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-offences-'))
    store = await openLevelStore(directory)
    offences = new Offences({ store })
  })
  afterEach(async () => {
    await store.close()
    await rm(directory, { recursive: true })
  })
  const reopen = async () => {
    await store.close()
    store = await openLevelStore(directory)
    offences = new Offences({ store })
  }

  it('is kept by epoch and node, and as taken once it is', async () => {
    const byKind = penalty(9, 1, { rival: undefined, messageType: undefined })
    await offences.put(300, [penalty(300, 0), penalty(300, 7)])
    await offences.put(9, [byKind])
    await offences.close(penalty(300, 7), 'taken')
    await reopen()
    assert.deepEqual(await offences.all(), [
      byKind,
      penalty(300, 0),
      penalty(300, 7, { state: 'taken' }),
    ])
    assert.deepEqual(await offences.all(9), [byKind])
  })

  it('is forgotten with the checkpoints that the chain took back', async () => {
    for (const epoch of [1, 2, 3]) await offences.put(epoch, [penalty(epoch, 0)])
    await offences.put(3, [penalty(3, 5)])
    await offences.dropAfter(2)
    await offences.close(penalty(3, 5), 'taken')
    const left = (await offences.all()).map(({ epoch }) => epoch)
    assert.deepEqual(left, [1, 2])
    await offences.dropAfter(-1)
    assert.deepEqual(await offences.all(), [])
  })

  it('is the newest, where there are more penalties than are kept', async () => {
    const many = Array.from({ length: PENALTIES_MAX }, (_, node) => penalty(2, node))
    await offences.put(2, many)
    await offences.put(1, [penalty(1, 0)])
    await offences.put(3, [penalty(3, 0)])
    const all = await offences.all()
    assert.equal(all.length, PENALTIES_MAX)
    assert.deepEqual([all[0]?.epoch, all[0]?.node, all.at(-1)?.epoch], [2, 1, 3])
  })

  it('is one double vote of a node for an epoch, until it is reported', async () => {
    assert.equal(await offences.putDoubleVote(votes(4, 2)), true)
    assert.equal(await offences.putDoubleVote(votes(4, 2, 3)), false)
    await reopen()
    assert.deepEqual(await offences.doubleVotes(), [{ ...votes(4, 2), state: 'open' }])
    await offences.closeDoubleVote(votes(4, 2), 'capReached')
    assert.deepEqual(await offences.doubleVotes(), [])
    await reopen()
    assert.deepEqual(await offences.allDoubleVotes(), [{ ...votes(4, 2), state: 'capReached' }])
    assert.equal(await offences.putDoubleVote(votes(4, 2)), false, 'nor is it reported again')
  })

  it('is no more than so many double votes at once', async function () {
    this.timeout(120_000)
    for (let node = 0; node < DOUBLE_VOTES_MAX; node++) await offences.putDoubleVote(votes(1, node))
    assert.equal(await offences.putDoubleVote(votes(2, 0)), false)
    await offences.closeDoubleVote(votes(1, 9), 'taken')
    assert.equal(await offences.putDoubleVote(votes(2, 0)), true)
    assert.equal((await offences.allDoubleVotes()).length, DOUBLE_VOTES_MAX)
  })

  it('makes room for later double votes when earlier ones are past', async () => {
    for (let node = 0; node < DOUBLE_VOTES_MAX; node++) {
      assert.equal(await offences.putDoubleVote(votes(5 + (node % 2), node)), true)
    }
    assert.equal(await offences.putDoubleVote(votes(300, 1)), false)
    await offences.dropDoubleVotesBefore(6)
    assert.equal((await offences.doubleVotes()).length, DOUBLE_VOTES_MAX / 2)
    assert.equal(await offences.putDoubleVote(votes(300, 1)), true)
  })
})
