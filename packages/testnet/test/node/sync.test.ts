import { strict as assert } from 'node:assert'
import { type Network, Sync } from '@cairn/node'
import {
  type Envelope,
  hex,
  ListDepth,
  listRoot,
  MessageType,
  messageId,
  type State,
} from '@cairn/protocol'
import { ClockCheck } from '../../../node/src/clock-check.ts'
import { stored } from '../../../node/src/ledger/ledger.ts'
import { bytes32 } from '../../../protocol/test/kernel-world.ts'
import { Tip } from '../../../protocol/test/kinds/trivial.ts'
import {
  EpochRequest,
  EpochResponse,
  FetchRequest,
  FetchResponse,
  type Lies,
  StateRequest,
  StateResponse,
  StatusResponse,
  serveLies,
} from './wire.ts'
import { NodeWorld, type WorldNode } from './world.ts'

const SERVER = 'peer1'
const TIMEOUT_MS = 500

interface Init {
  setOf?: (epoch: number, root: Uint8Array) => Promise<readonly Uint8Array[] | undefined>
  accepted?: () => number
}

function syncOf(world: NodeWorld, { node, network }: WorldNode, init: Init = {}): Sync {
  const sync = new Sync(
    {
      network,
      clock: world.clock,
      ledger: node.ledger,
      epochs: node.epochs,
      setOf: init.setOf ?? (async () => undefined),
      accepted: init.accepted ?? (() => -1),
    },
    { kinds: world.kinds, timeoutMs: TIMEOUT_MS },
  )
  sync.start()
  return sync
}

/** A node that asks and one that serves what it holds of epoch 0. */
async function pair(init: Init = {}) {
  const world = new NodeWorld({ nodes: 6 })
  const [asker, server] = [await world.listener(0), await world.listener(1)]
  const sync = syncOf(world, asker)
  syncOf(world, server, init)
  await world.run(0, 2)
  for (const node of [asker, server]) await world.base(node, 0)
  return { world, asker, server, sync }
}

/** A node that asks and a peer that answers as it is told. */
async function against(lies: Lies) {
  const world = new NodeWorld({ nodes: 6 })
  const asker = await world.listener(0)
  const sync = syncOf(world, asker)
  const liar = await serving(world, SERVER, lies)
  await world.run(0, 2)
  return { world, asker, sync, liar }
}

async function serving(world: NodeWorld, peer: string, lies: Lies): Promise<Network> {
  const network = world.network.join(peer)
  serveLies(network, lies)
  await network.start()
  return network
}

async function fill(world: NodeWorld, { node }: WorldNode, count: number): Promise<void> {
  const base = node.epochs.base(0)
  assert.ok(base)
  const authors = world.authors(base)
  for (let n = 0; n < count; n++) {
    const value = { ...authors.fields(1), client: bytes32('many', n), amount: 1n }
    await node.ingest.add(authors.sign(MessageType.report, Tip, value), 'sync')
  }
}

function large(number: number): Envelope {
  const body = new Uint8Array(15_000).fill(number)
  return { type: MessageType.report, body, signature: new Uint8Array(64) }
}

const ids = (count: number, label = 'id') =>
  Array.from({ length: count }, (_, n) => bytes32(label, n)).sort(Buffer.compare)

describe('the ids of a peer’s set', () => {
  it('are listed whatever their number', async () => {
    const { world, server, sync } = await pair()
    for (const count of [0, 1, 1024, 1025, 2_500]) {
      const held = server.node.epochs.record(0)?.set
      await fill(world, server, count)
      const found = await world.until(sync.ids(SERVER, 0, {}))
      assert.equal(found?.length, count)
      assert.deepEqual(found, held?.ids())
    }
  }).timeout(60_000)

  it('are not listed where both hold the same', async () => {
    const { world, asker, server, sync } = await pair()
    await fill(world, server, 3)
    const mine = () => asker.node.epochs.record(0)?.set.root() as Uint8Array
    assert.equal((await world.until(sync.ids(SERVER, 0, { mine: mine() })))?.length, 3)
    await fill(world, asker, 3)
    assert.equal(await world.until(sync.ids(SERVER, 0, { mine: mine() })), undefined)
  })

  it('are those of a set that is named by its root, as the peer knows it', async () => {
    const named = ids(1_500)
    const root = listRoot(named, ListDepth.messages)
    const { world, server, sync } = await pair({
      setOf: async (epoch, wanted) =>
        epoch === 0 && hex(wanted) === hex(root) ? named : undefined,
    })
    await fill(world, server, 2)
    assert.deepEqual(await world.until(sync.ids(SERVER, 0, { root })), named)
    const present = server.node.epochs.record(0)?.set
    assert.deepEqual(
      await world.until(sync.ids(SERVER, 0, { root: present?.root() as Uint8Array })),
      present?.ids(),
    )
    await assert.rejects(world.until(sync.ids(SERVER, 0, { root: bytes32('none') })), {
      code: 'notFound',
    })
  })

  it('of an epoch that the peer does not know are none', async () => {
    const { world, sync } = await pair()
    assert.deepEqual(await world.until(sync.ids(SERVER, 77, {})), [])
  })

  const honest = ids(2_100)
  const honestRoot = listRoot(honest, ListDepth.messages)
  const page = (request: Uint8Array, all: readonly Uint8Array[], change = {}) => {
    const { offset } = EpochRequest.deserialize(request)
    const found = all.slice(offset, offset + 1024)
    return EpochResponse.serialize({ root: honestRoot, total: all.length, ids: found, ...change })
  }

  for (const [what, epoch] of Object.entries<NonNullable<Lies['epoch']>>({
    'other ids under the root': request => page(request, ids(2_100, 'other')),
    'ids that are too many': request => page(request, [...honest, bytes32('one more')]),
    'ids that are too few': request => page(request, honest.slice(1)),
    'another root': request => page(request, honest, { root: bytes32('other root') }),
    'one id at a time': request => {
      const { offset } = EpochRequest.deserialize(request)
      return page(request, honest, { ids: honest.slice(offset, offset + 1) })
    },
    'no ids of those it announces': request => page(request, honest, { ids: [] }),
    'a number that grows': request => {
      const { offset } = EpochRequest.deserialize(request)
      return page(request, honest, { total: 5_000 + offset })
    },
    'more than there can be': request => page(request, honest, { total: 2 ** 32 - 1 }),
    'bytes that are cut short': request => page(request, honest).slice(0, -7),
    garbage: () => new Uint8Array(64).fill(9),
    nothing: () => new Uint8Array(),
  })) {
    it(`are refused from a peer that sends ${what}`, async () => {
      const { world, sync } = await against({ epoch })
      const began = world.network.tally.requests
      await assert.rejects(world.until(sync.ids(SERVER, 0, { root: honestRoot })))
      assert.ok(world.network.tally.requests - began <= 5)
    })
  }

  it('are refused from a peer whose set changes for as long as it is read', async () => {
    let turn = 0
    const { world, sync } = await against({
      epoch: request => page(request, honest, { root: bytes32('turn', turn++) }),
    })
    await assert.rejects(world.until(sync.ids(SERVER, 0, {})), { code: 'wrongSet' })
    assert.ok(turn <= 5)
  })

  it('are given up when a peer takes too long for all of them', async () => {
    const world = new NodeWorld({ nodes: 6 })
    const sync = syncOf(world, await world.listener(0))
    let asked = 0
    await serving(world, SERVER, {
      epoch: async request => {
        asked++
        await world.clock.until(world.clock.now() + TIMEOUT_MS - 20)
        const { offset } = EpochRequest.deserialize(request)
        const made = Array.from({ length: 1024 }, (_, at) => bytes32(`${offset}`, at))
        return page(request, honest, { total: 1_000_000, ids: made })
      },
    })
    await world.run(0, 2)
    await assert.rejects(world.until(sync.ids(SERVER, 0, {})), { code: 'timeout' })
    assert.ok(asked < 20, `${asked}`)
  })

  it('are given up when the caller does', async () => {
    const world = new NodeWorld({ nodes: 6 })
    const sync = syncOf(world, await world.listener(0))
    await serving(world, SERVER, { epoch: () => new Promise(() => {}) })
    await world.run(0, 2)
    const controller = new AbortController()
    const asked = sync.ids(SERVER, 0, { signal: controller.signal })
    world.clock.at(world.clock.now() + 100, () => controller.abort())
    const began = world.clock.now()
    await assert.rejects(world.until(asked))
    assert.ok(world.clock.now() - began <= 120)
  })
})

describe('messages that are fetched', () => {
  it('come in pages of at most a mebibyte, all of them', async () => {
    const { world, server, sync } = await pair()
    const messages = Array.from({ length: 200 }, (_, n) => stored(large(n)))
    for (const message of messages) await server.node.ledger.put(0, undefined, message)
    const before = world.network.tally.requests
    const found = await world.until(
      sync.fetch(
        SERVER,
        messages.map(({ id }) => id),
      ),
    )
    assert.deepEqual(
      new Set(found.map(envelope => hex(messageId(envelope)))),
      new Set(messages.map(({ id }) => hex(id))),
    )
    assert.equal(found.length, messages.length)
    assert.equal(world.network.tally.requests - before, 3)
  })

  it('leave out what the peer lacks, wherever it stands', async () => {
    const { world, server, sync } = await pair()
    const messages = Array.from({ length: 150 }, (_, n) => stored(large(n)))
    for (const message of messages) await server.node.ledger.put(0, undefined, message)
    const wanted = messages.flatMap(({ id }, n) =>
      n % 3 === 0 ? [bytes32('lacking', n), id] : [id],
    )
    const all = [...ids(1_100, 'none'), ...wanted, ...ids(30, 'neither')]
    const found = await world.until(sync.fetch(SERVER, all))
    assert.equal(found.length, messages.length)
  })

  it('are none where none are wanted', async () => {
    const { world, sync } = await pair()
    const before = world.network.tally.requests
    assert.deepEqual(await sync.fetch(SERVER, []), [])
    assert.equal(world.network.tally.requests, before)
  })

  it('are just those that were asked for, once', async () => {
    const [one, two] = [large(1), large(2)]
    const { world, sync } = await against({
      fetch: () => FetchResponse.serialize({ messages: [two, one, one, large(3), one] }),
    })
    assert.deepEqual(await world.until(sync.fetch(SERVER, [messageId(one)])), [one])
  })

  it('end although a peer fills each page with something else', async () => {
    let asked = 0
    const { world, sync } = await against({
      fetch: request => {
        asked++
        const [first] = FetchRequest.deserialize(request).ids
        const filler = Array.from({ length: 69 }, (_, n) => large(n))
        // Now and then one that is wanted, so that it seems to go on.
        const wanted = messages.find(({ id }) => hex(id) === hex(first as Uint8Array))
        return FetchResponse.serialize({
          messages: wanted === undefined ? filler : [wanted.envelope, ...filler],
        })
      },
    })
    const messages = Array.from({ length: 500 }, (_, n) =>
      stored({
        type: MessageType.report,
        body: Uint8Array.of(n, n >> 8),
        signature: new Uint8Array(),
      }),
    )
    await assert.rejects(
      world.until(
        sync.fetch(
          SERVER,
          messages.map(({ id }) => id),
        ),
      ),
      { code: 'tooLarge' },
    )
    assert.ok(asked < 100, `${asked}`)
  })

  for (const [what, fetch] of Object.entries<NonNullable<Lies['fetch']>>({
    garbage: () => new Uint8Array(9).fill(3),
    'a message that does not decode': () => Uint8Array.of(4, 0, 0, 0, 4, 0, 0, 0, 1),
    nothing: () => new Uint8Array(),
  })) {
    it(`are refused from a peer that sends ${what}`, async () => {
      const { world, sync } = await against({ fetch })
      await assert.rejects(
        world.until(sync.fetch(SERVER, [bytes32('x')])),
        (error: { code: string }) => ['badEncoding', 'badLength'].includes(error.code),
      )
    })
  }
})

describe('a state by its root', () => {
  /** More than one page of it. */
  function richState(world: NodeWorld): State {
    const payouts = Array.from({ length: 30_000 }, (_, n) => {
      const account = new Uint8Array(20)
      new DataView(account.buffer).setUint32(0, n)
      return { account, earned: BigInt(n), spent: 0n }
    })
    return world.genesis.with({ ...world.genesis.core, payouts })
  }

  it('is fetched in pages, proven and kept', async () => {
    const { world, asker, server, sync } = await pair()
    const state = richState(world)
    const bytes = state.encode()
    assert.ok(bytes.length > 1024 * 1024)
    await server.node.ledger.putState(state.root(), bytes)
    const found = await world.until(sync.fetchState(state.root()))
    assert.deepEqual(found?.root(), state.root())
    assert.deepEqual(await asker.node.ledger.state(state.root()), bytes)
  })

  it('comes from an honest peer after several that lie', async () => {
    const world = new NodeWorld({ nodes: 6 })
    const asker = await world.listener(0)
    const sync = syncOf(world, asker)
    const state = richState(world)
    const bytes = state.encode()
    const other = world.genesis.encode()
    const lies: NonNullable<Lies['state']>[] = [
      () => new Uint8Array(5),
      () => StateResponse.serialize({ total: other.length, bytes: other }),
      () => StateResponse.serialize({ total: 100, bytes: new Uint8Array(100).fill(7) }),
      () => StateResponse.serialize({ total: 2 ** 31, bytes: new Uint8Array(1) }),
      () => StateResponse.serialize({ total: bytes.length, bytes: new Uint8Array(1) }),
      () => StateResponse.serialize({ total: bytes.length, bytes: new Uint8Array() }),
      request => {
        const { offset } = StateRequest.deserialize(request)
        const part = bytes.slice(offset, offset + 512 * 1024)
        return StateResponse.serialize({ total: bytes.length + offset, bytes: part })
      },
      () => Promise.reject(new Error('down')),
      () => new Promise(() => {}),
    ]
    for (const [n, lie] of lies.entries()) await serving(world, `liar${n}`, { state: lie })
    await world.run(0, 2)
    assert.equal(await world.until(sync.fetchState(state.root())), undefined)
    const server = await world.listener(1)
    syncOf(world, server)
    await server.node.ledger.putState(state.root(), bytes)
    for (let again = 0; again < 3; again++) {
      const found = await world.until(sync.fetchState(state.root()))
      assert.deepEqual(found?.root(), state.root())
    }
    for (const { facts } of asker.lines.filter(({ level }) => level === 'error'))
      assert.fail(`${facts}`)
  })

  it('is not had where nobody has it', async () => {
    const { world, sync } = await pair()
    assert.equal(await world.until(sync.fetchState(bytes32('none'))), undefined)
  })
})

describe('the status of peers', () => {
  /** A peer whose clock is `offset` ms from the world's. */
  const clockAt = (world: NodeWorld, offset: number, accepted = 0): Lies => ({
    status: () => StatusResponse.serialize({ time: BigInt(world.clock.now() + offset), accepted }),
  })

  async function clocks(offsets: readonly number[], others: readonly Lies[] = []) {
    const world = new NodeWorld({ nodes: 6 })
    const sync = syncOf(world, await world.listener(0))
    const lies = [...offsets.map(offset => clockAt(world, offset, 4)), ...others]
    const peers = lies.map((_, n) => `clock${n}`)
    for (const [n, lie] of lies.entries()) await serving(world, `clock${n}`, lie)
    await world.run(0, 2)
    return { world, sync, peers }
  }

  it('tells how far their clocks are off, within the way of an answer', async () => {
    const { world, sync, peers } = await clocks([-3_000, 0, 40_000])
    const statuses = await world.until(sync.statuses(peers))
    for (const [n, offset] of [-3_000, 0, 40_000].entries()) {
      const { offsetMs, accepted } = statuses[n] as (typeof statuses)[number]
      assert.ok(Math.abs(offsetMs - offset) <= 5, `${offsetMs}`)
      assert.equal(accepted, 3)
    }
  })

  it('takes no slow answer for a wrong clock', async () => {
    const world = new NodeWorld({ nodes: 6 })
    const sync = syncOf(world, await world.listener(0))
    const { clock } = world
    const slow = (offset: number): Lies => ({
      async status() {
        const time = BigInt(clock.now() + offset)
        await clock.until(clock.now() + (TIMEOUT_MS * 3) / 4)
        return StatusResponse.serialize({ time, accepted: 0 })
      },
    })
    await serving(world, 'right', slow(0))
    await serving(world, 'wrong', slow(-3_000))
    await world.run(0, 2)
    const [right, wrong] = await world.until(sync.statuses(['right', 'wrong']))
    assert.equal(right?.offsetMs, 0)
    assert.ok((wrong?.offsetMs ?? 0) <= -2_990, `${wrong?.offsetMs}`)
  })

  it('is that of those who answer, whatever the others do', async () => {
    const { world, sync, peers } = await clocks(
      [100],
      [
        { status: () => new Uint8Array(3) },
        { status: () => new Promise(() => {}) },
        { status: () => Promise.reject(new Error('down')) },
        {},
      ],
    )
    const statuses = await world.until(sync.statuses([...peers, 'nobody']))
    assert.equal(statuses.length, 1)
  })

  it('of honest nodes tells what they adopted', async () => {
    const { world, sync } = await pair({ accepted: () => 6 })
    const [status] = await world.until(sync.statuses([SERVER]))
    assert.equal(status?.accepted, 6)
    assert.ok(Math.abs(status?.offsetMs ?? 99) <= 5)
  })

  for (const [offsets, expected] of [
    [[0, 0, 0], 0],
    [[1_000, 1_000, 0], 1_000],
    [[-9_000, 10, 90_000], 10],
    [[-5_000, -4_000, 0, 1, 2], 0],
    [[1e9, 0, 0, -1e9], 0],
  ] as const) {
    it(`has the median ${expected} of ${offsets}`, async () => {
      const { world, sync, peers } = await clocks(offsets)
      const check = new ClockCheck({ sync, registered: () => peers }, { skewMs: 250 })
      assert.equal(check.off, false)
      await world.until(check.run(0))
      assert.ok(Math.abs((check.offsetMs ?? Number.NaN) - expected) <= 5, `${check.offsetMs}`)
      assert.equal(check.off, Math.abs(expected) > 250)
    })
  }

  it('says nothing when fewer than three answer, whatever was said before', async () => {
    const { world, sync, peers } = await clocks([9_000, 9_000, 9_000])
    const check = new ClockCheck({ sync, registered: () => peers }, { skewMs: 250 })
    await world.until(check.run(0))
    assert.equal(check.off, true)
    world.network.crash('clock1')
    await world.until(check.run(1))
    assert.equal(check.off, false)
    assert.equal(check.offsetMs, undefined)
  })

  it('is asked of others every epoch where there are many', async () => {
    const { world, sync, peers } = await clocks([
      ...new Array(8).fill(7_000),
      ...new Array(8).fill(0),
    ])
    const check = new ClockCheck({ sync, registered: () => peers }, { skewMs: 250 })
    await world.until(check.run(0))
    assert.equal(check.off, true)
    await world.until(check.run(1))
    assert.equal(check.off, false)
  })
})
