import { strict as assert } from 'node:assert'
import {
  chargeable,
  type DepositEntry,
  type EpochBase,
  epochBase,
  epochStart,
  hex,
  isActive,
  type Kind,
  PUBLIC_PROFILE,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import { depositOf, entryOf, GENESIS, KernelWorld } from './kernel-world.ts'
import { ECHO, echo } from './kinds/trivial.ts'

const TESTNET = { genesis: GENESIS, profile: TESTNET_PROFILE }
const PUBLIC = { genesis: GENESIS, profile: PUBLIC_PROFILE }

describe('activity of a node', () => {
  it('begins with epoch 0 for those registered before genesis', () => {
    const entry = entryOf(0, { registeredAt: GENESIS - 1 })
    assert.ok(isActive(entry, 0, TESTNET))
    assert.ok(isActive(entry, 0, PUBLIC))
  })

  it('begins after the activation delay', () => {
    const entry = entryOf(0, { registeredAt: epochStart(PUBLIC, 5) / 1_000 })
    assert.deepEqual(
      [4, 5, 6].map(epoch => isActive(entry, epoch, PUBLIC)),
      [false, false, true],
    )
    const testnet = entryOf(0, { registeredAt: epochStart(TESTNET, 5) / 1_000 })
    assert.deepEqual(
      [4, 5].map(epoch => isActive(testnet, epoch, TESTNET)),
      [false, true],
    )
  })

  it('ends with the epoch in which it asks to leave', () => {
    const entry = entryOf(0, { exitAt: epochStart(TESTNET, 5) / 1_000 })
    assert.deepEqual(
      [4, 5].map(epoch => isActive(entry, epoch, TESTNET)),
      [true, false],
    )
    const within = entryOf(0, { exitAt: epochStart(TESTNET, 5) / 1_000 + 1 })
    assert.ok(isActive(within, 5, TESTNET))
    assert.ok(!isActive(within, 6, TESTNET))
  })

  it('is not active with less bond than the minimum, and is again with it', () => {
    const { bondMinimum } = TESTNET.profile
    assert.ok(isActive(entryOf(0, { bond: bondMinimum }), 5, TESTNET))
    assert.ok(!isActive(entryOf(0, { bond: bondMinimum - 1n }), 5, TESTNET))
  })
})

/** Idle nodes of the epoch whose base's last checkpoint is that of `stateEpoch`. */
function idle(
  stateEpoch: number,
  activity: readonly { node: number; epoch: number }[] = [],
  registeredAt = GENESIS - 1,
): number[] {
  const { base } = new KernelWorld({
    nodes: 3,
    epoch: stateEpoch + 2,
    stateEpoch,
    activity,
    entry: () => ({ registeredAt }),
  })
  return base.nodes.map(({ index }) => index).filter(index => base.idle(index))
}

describe('idle nodes', () => {
  const { idleEpochs } = TESTNET_PROFILE

  it('are none in the first epochs, whatever was said', () => {
    for (let epoch = -1; epoch < idleEpochs - 1; epoch++) assert.deepEqual(idle(epoch), [])
  })

  it('are those without a message in the checkpoints of as many epochs', () => {
    assert.deepEqual(idle(idleEpochs - 1), [0, 1, 2])
    assert.deepEqual(idle(idleEpochs - 1, [{ node: 1, epoch: 0 }]), [0, 2])
    assert.deepEqual(idle(idleEpochs, [{ node: 1, epoch: 0 }]), [0, 1, 2])
    const activity = [
      { node: 0, epoch: 20 },
      { node: 1, epoch: 20 + 1 },
      { node: 2, epoch: 20 + idleEpochs },
    ]
    assert.deepEqual(idle(20 + idleEpochs, activity), [0])
  })

  it('are not those who have taken part for fewer epochs', () => {
    const registered = 30
    const registeredAt = epochStart(TESTNET, registered) / 1_000
    const first = registered + 1 + TESTNET_PROFILE.lookback
    assert.deepEqual(idle(first + idleEpochs - 2, [], registeredAt), [])
    assert.deepEqual(idle(first + idleEpochs - 1, [], registeredAt), [0, 1, 2])
  })

  it('are asked but given nothing to do', () => {
    const { base } = new KernelWorld({
      nodes: 4,
      epoch: 8,
      activity: [1, 2, 3].map(node => ({ node, epoch: 6 })),
    })
    assert.ok(base.idle(0))
    assert.ok(base.isTarget(echo, 0))
    for (const target of [0, 1, 2, 3]) {
      const { challengers, verifiers } = base.duty(ECHO, target)
      assert.ok(![...challengers, ...verifiers].includes(0))
    }
    assert.equal(base.duty(ECHO, 0).challengers.length, 1)
  })
})

describe('base of an epoch', () => {
  it('holds the active nodes by ascending index, and finds each', () => {
    const world = new KernelWorld({ nodes: 0 })
    const base = epochBase({
      ...initOf(world.base),
      state: world.state,
      stateEpoch: -1,
      deposits: [],
      registry: [entryOf(5), entryOf(2), entryOf(3, { exitAt: GENESIS }), entryOf(1)],
    })
    assert.deepEqual(
      base.nodes.map(({ index }) => index),
      [1, 2, 5],
    )
    assert.equal(base.node(5)?.index, 5)
    assert.equal(base.node(3), undefined)
    assert.deepEqual(base.duty(ECHO, 3), { challengers: [], verifiers: [] })
  })

  it('tags messages with the first eight bytes of the block', () => {
    const { base } = new KernelWorld()
    assert.deepEqual(base.tag, base.block.hash.slice(0, 8))
  })

  it('knows clients deposits by key and the carried state of a kind', () => {
    const deposit = depositOf(1, 7n)
    const { base } = new KernelWorld({ deposits: [deposit] })
    assert.equal(base.deposits.get(hex(deposit.key))?.amount, 7n)
    assert.equal(base.deposits.get(hex(deposit.account)), undefined)
    assert.deepEqual(base.state(echo), { passes: 0 })
  })

  it('leaves of a deposit what was put down and not asked back, less what was spent', () => {
    const { account, key } = depositOf(1, 0n)
    const entry = { account, key, deposited: 100n, requested: 0n, requestedAt: 0n }
    const available = (change: Partial<DepositEntry>, spent = 0n) => {
      const { state } = new KernelWorld()
      const carried = state.with({ ...state.core, payouts: [{ account, earned: 0n, spent }] })
      const deposits = chargeable([{ ...entry, ...change }])
      const base = epochBase({
        ...initOf(new KernelWorld().base),
        registry: [],
        deposits,
        state: carried,
        stateEpoch: -1,
      })
      return base.available(hex(key))
    }
    assert.equal(available({}), 100n)
    assert.equal(available({ requested: 40n }), 60n)
    assert.equal(available({ requested: 40n }, 60n), 0n)
    assert.equal(available({ requested: 40n }, 61n), 0n)
    assert.equal(available({ requested: 100n }, 30n), 0n)
    assert.equal(available({ key: undefined }), 0n)
  })

  it('asks a kind for its targets once', () => {
    let asked = 0
    const counting: Kind<unknown> = {
      ...(echo as unknown as Kind<unknown>),
      targets: base => {
        asked++
        return echo.targets(base)
      },
    }
    const { base } = new KernelWorld({
      kinds: [counting],
      entry: i => ({ kinds: i === 0 ? 0 : 128 }),
    })
    assert.deepEqual([base.isTarget(counting, 0), base.isTarget(counting, 1)], [false, true])
    assert.equal(base.isTarget(counting, 99), false)
    assert.equal(asked, 1)
  })

  it('shuffles a ring of its own for every kind', () => {
    const { base } = new KernelWorld({ nodes: 30 })
    const duties = (kind: number) => base.nodes.map(({ index }) => base.duty(kind, index))
    assert.notDeepEqual(duties(1), duties(2))
    assert.deepEqual(duties(1), duties(1))
  })
})

function initOf({ epoch, network, profile, genesis, block, seed, earlierSeeds }: EpochBase) {
  return { epoch, network, profile, genesis, block, seed, earlierSeeds }
}
