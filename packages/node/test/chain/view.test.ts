import { strict as assert } from 'node:assert'
import {
  type BlockHeader,
  type ChainEvent,
  ChainView,
  type DepositsEvent,
  depositEntries,
} from '@cairn/node'
import { bls, committeeWord, type RegistryEntry, sha256 } from '@cairn/protocol'
import fc from 'fast-check'

const EPOCHS = { genesis: 100, seconds: 10 }

describe('chain view', () => {
  it('answers as a list of all blocks and events would, through any rollbacks', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const view = new ChainView({ epochs: EPOCHS, headersMax: 8 })
        const model = new Model()
        for (const one of steps) {
          if (one.kind === 'append') {
            const added = model.grow(one)
            view.append(added)
          } else {
            const to = model.blocks.length - 1 - one.depth
            // Only what is in the window can be returned to.
            if (to < Math.max(0, model.windowStart)) continue
            model.cut(to)
            view.rollback(BigInt(to))
          }
          model.compare(view)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('answers for epoch starts long after their blocks have left the window', () => {
    const view = new ChainView({ epochs: EPOCHS, headersMax: 4 })
    for (let i = 0; i < 100; i++) view.append({ headers: [header(i, 95 + 3 * i)], events: [] })
    // Block 1 is at 98, block 2 at 101.
    assert.equal(view.lastBlockBefore(100)?.number, 1n)
    assert.equal(view.block(1n)?.timestamp, 98)
    assert.equal(view.lastBlockBefore(101), undefined)
    assert.equal(view.block(3n), undefined)
  })

  it('refuses events with a gap, and stays as it was', () => {
    const view = new ChainView({ epochs: EPOCHS })
    const block = header(0, 100)
    const gaps: ChainEvent[] = [
      { contract: 'registry', type: 'registered', block, index: 1, entry: undefined },
      { contract: 'registry', type: 'changed', block, index: 0, change: { exitAt: 100 } },
      { contract: 'checkpoints', type: 'accepted', block, accepted: acceptedAt(0, block) },
      {
        contract: 'checkpoints',
        type: 'checkedIn',
        block,
        place: 1,
        checkedIn: { node: 0, key: new Uint8Array(48), weight: 1 },
      },
      {
        contract: 'checkpoints',
        type: 'committeeSet',
        block,
        epoch: 1,
        word: new Uint8Array(32),
      },
    ]
    for (const event of gaps) {
      const advance = { headers: [block], events: [event] }
      assert.throws(() => view.append(advance), { code: 'missingLogs' })
      assert.equal(view.head(), undefined)
      assert.equal(view.registeredCount(), 0)
    }
  })

  it('takes an identity key once, and again after a rollback', () => {
    const view = new ChainView({ epochs: EPOCHS })
    const register = (index: number, identity: number) => {
      const block = header(index, 100 + index)
      const event = {
        contract: 'registry',
        type: 'registered',
        block,
        index,
        entry: entry(index, identity),
      } as const
      view.append({ headers: [block], events: [event] })
      return view.registryAt(block.number).map(node => node.index)
    }
    assert.deepEqual(register(0, 7), [0])
    assert.deepEqual(register(1, 7), [0])
    assert.deepEqual(register(2, 8), [0, 2])
    view.rollback(1n)
    assert.deepEqual(register(2, 8), [0, 2])
  })

  it('gives the same list again while nothing changed', () => {
    const view = new ChainView({ epochs: EPOCHS })
    const block = header(0, 100)
    const event = {
      contract: 'registry',
      type: 'registered',
      block,
      index: 0,
      entry: entry(0, 0),
    } as const
    view.append({ headers: [block], events: [event] })
    view.append({ headers: [header(1, 101)], events: [] })
    assert.equal(view.registryAt(0n), view.registryAt(1n))
  })

  it('forgets a cancelled checkpoint and those after it, from that block on', () => {
    const view = new ChainView({ epochs: EPOCHS })
    const blocks = [0, 1, 2, 3, 4].map(i => header(i, 100 + i))
    const [genesis, zero, one, cancel, again] = blocks as [
      BlockHeader,
      BlockHeader,
      BlockHeader,
      BlockHeader,
      BlockHeader,
    ]
    const events: ChainEvent[] = [
      {
        contract: 'checkpoints',
        type: 'accepted',
        block: genesis,
        accepted: acceptedAt(-1, genesis),
      },
      { contract: 'checkpoints', type: 'accepted', block: zero, accepted: acceptedAt(0, zero) },
      { contract: 'checkpoints', type: 'accepted', block: one, accepted: acceptedAt(1, one) },
      { contract: 'checkpoints', type: 'cancelled', block: cancel, epoch: 0 },
      { contract: 'checkpoints', type: 'accepted', block: again, accepted: acceptedAt(0, again) },
    ]
    view.append({ headers: blocks, events })
    const epochs = (block: BlockHeader) => view.checkpointsAt(block.number).map(it => it.epoch)
    assert.deepEqual(blocks.map(epochs), [[-1], [-1, 0], [-1, 0, 1], [-1], [-1, 0]])
    assert.equal(view.accepted(0)?.block, again)
    assert.deepEqual(
      view.cancelled().map(({ epoch, root, round }) => ({ epoch, root, round })),
      [{ epoch: 0, root: acceptedAt(0, zero).root, round: 0 }],
    )
    view.rollback(3n)
    assert.equal(view.lastEpoch(), -1)
    view.rollback(2n)
    assert.equal(view.accepted(0)?.block, zero)
    assert.deepEqual(view.cancelled(), [])
    const beyond = {
      contract: 'checkpoints',
      type: 'cancelled',
      block: header(3, 103),
      epoch: 2,
    } as const
    assert.throws(() => view.append({ headers: [beyond.block], events: [beyond] }), {
      code: 'missingLogs',
    })
  })

  it('shows exits and withdrawals from their block on', () => {
    const view = new ChainView({ epochs: EPOCHS })
    const blocks = [header(0, 100), header(1, 101), header(2, 102)] as const
    view.append({
      headers: blocks,
      events: [
        {
          contract: 'registry',
          type: 'registered',
          block: blocks[0],
          index: 0,
          entry: entry(0, 0),
        },
        {
          contract: 'registry',
          type: 'changed',
          block: blocks[1],
          index: 0,
          change: { exitAt: 101 },
        },
        { contract: 'registry', type: 'changed', block: blocks[2], index: 0, change: { bond: 0n } },
      ],
    })
    const seen = blocks.map(({ number }) => view.registryAt(number)[0])
    assert.deepEqual(
      seen.map(node => [node?.exitAt, node?.bond]),
      [
        [0, 5n],
        [101, 5n],
        [101, 0n],
      ],
    )
  })
})

describe('who signs next, where nobody has for long', () => {
  const PATIENCE = 20
  const genesisAt = EPOCHS.genesis - 5
  const opened = () => {
    const view = new ChainView({ epochs: EPOCHS })
    view.fallbackAfter = PATIENCE
    let number = 0
    /** A block of this time with these events of `Checkpoints`. */
    const add = (timestamp: number, ...events: object[]) => {
      const block = header(number, timestamp)
      view.append({
        headers: [block],
        events: events.map(
          event => ({ contract: 'checkpoints', block, ...event }) as unknown as ChainEvent,
        ),
      })
      number++
    }
    const accepted = (epoch: number, timestamp: number) => {
      const block = header(number, timestamp)
      return { type: 'accepted', accepted: acceptedAt(epoch, block) }
    }
    const came = (place: number, node: number) => ({
      type: 'checkedIn',
      place,
      checkedIn: { node, key, weight: 1 },
    })
    add(genesisAt, accepted(-1, genesisAt))
    return { view, add, accepted, came }
  }
  const window = (end: number) => ({ type: 'windowOpened', end })
  const key = bls.publicKey(sha256(Uint8Array.of(0)).with(0, 1))
  /** Of one member. */
  const word = committeeWord([{ key, weight: 1 }])
  const nodes = (members?: readonly { node: number }[]) => members?.map(({ node }) => node)

  it('waits from the beginning of epoch 0 on, then from the last checkpoint on', () => {
    const { view, add, accepted } = opened()
    assert.deepEqual([view.succession()?.epoch, view.succession()?.due], [0, 100 + PATIENCE])
    add(130, accepted(0, 130))
    assert.deepEqual([view.succession()?.epoch, view.succession()?.due], [1, 130 + PATIENCE])
  })

  it('knows who came to the last window, in their order', () => {
    const { view, add, came } = opened()
    add(125, window(135), came(0, 4), came(1, 2))
    assert.deepEqual(nodes(view.succession()?.window?.members), [4, 2])
    add(140, window(150), came(0, 2))
    assert.throws(() => add(141, came(2, 4)), { code: 'missingLogs' })
    const { windows, window: last } = view.succession() ?? {}
    assert.deepEqual([windows, last?.end, nodes(last?.members)], [2, 150, [2]])
  })

  it('closes a window by a checkpoint, also by one in the same block', () => {
    const { view, add, accepted, came } = opened()
    add(125, window(135), came(0, 4), accepted(0, 125))
    assert.equal(view.succession()?.window, undefined)
    assert.equal(view.succession()?.windows, 1)
  })

  it('is who formed a committee, for its one epoch', () => {
    const { view, add, accepted, came } = opened()
    add(125, window(135), came(0, 4))
    for (const other of [{ word: sha256(word) }, { word, epoch: 1 }]) {
      const event = { type: 'committeeSet', epoch: 0, ...other }
      assert.throws(() => add(140, event), { code: 'missingLogs' })
    }
    add(140, { type: 'committeeSet', epoch: 0, word })
    const formed = view.succession()
    assert.deepEqual([formed?.formed?.epoch, nodes(formed?.formed?.members)], [0, [4]])
    assert.deepEqual([formed?.due, formed?.window], [140 + PATIENCE, undefined])
    add(145, accepted(0, 145))
    assert.deepEqual(nodes(view.accepted(0)?.formed?.members), [4])
    assert.equal(view.succession()?.formed, undefined)
    add(155, accepted(1, 155))
    assert.equal(view.accepted(1)?.formed, undefined)
  })

  it('is nobody who formed a committee after a checkpoint that is cancelled', () => {
    const { view, add, accepted, came } = opened()
    add(130, accepted(0, 130))
    add(160, window(170), came(0, 4))
    add(171, { type: 'committeeSet', epoch: 1, word })
    assert.equal(view.succession()?.formed?.epoch, 1)
    add(172, { type: 'cancelled', epoch: 0 })
    assert.deepEqual([view.succession()?.formed, view.succession()?.epoch], [undefined, 0])
  })
})

describe('what accounts have put down', () => {
  const at = (number: number) => header(number, 100 + number)
  const event = (number: number, change: object) =>
    ({ contract: 'deposits', block: at(number), ...change }) as DepositsEvent
  const [a, b] = [new Uint8Array(20).fill(1), new Uint8Array(20).fill(2)]
  const [key, other] = [sha256(a), sha256(b)]

  it('is what was deposited and not withdrawn, less what is asked back', () => {
    const events = [
      event(1, { account: b, type: 'deposited', amount: 70n }),
      event(2, { account: a, type: 'deposited', amount: 5n }),
      event(3, { account: b, type: 'requested', amount: 50n }),
      event(4, { account: b, type: 'requested', amount: 60n }),
      event(5, { account: b, type: 'withdrawn', amount: 55n }),
      event(6, { account: b, type: 'deposited', amount: 1n }),
    ]
    const of = (count: number) => depositEntries(events.slice(0, count))
    const none = { key: undefined, requested: 0n, requestedAt: 0n }
    assert.deepEqual(of(4), [
      { ...none, account: a, deposited: 5n },
      { ...none, account: b, deposited: 70n, requested: 60n, requestedAt: 4n },
    ])
    assert.deepEqual(of(6)[1], { ...none, account: b, deposited: 16n })
  })

  it('pays for the key that an account named first, and that no other has', () => {
    const named = (number: number, account: Uint8Array, named: Uint8Array | undefined) =>
      event(number, { account, type: 'named', key: named })
    const keys = (...events: DepositsEvent[]) => depositEntries(events).map(entry => entry.key)
    assert.deepEqual(keys(named(1, a, undefined)), [undefined])
    assert.deepEqual(keys(named(1, a, undefined), named(2, a, key)), [key])
    assert.deepEqual(keys(named(1, a, key), named(2, a, other)), [key])
    assert.deepEqual(keys(named(1, b, key), named(2, a, key)), [undefined, key])
    assert.deepEqual(keys(named(1, b, key), named(2, a, key), named(3, a, other)), [other, key])
    // Neither has the one that was not taken for its account.
    assert.deepEqual(keys(named(1, a, key), named(2, a, other), named(3, b, other)), [key, other])
  })
})

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      blocks: fc.integer({ min: 1, max: 5 }),
      gap: fc.integer({ min: 0, max: 25 }),
      nodes: fc.integer({ min: 0, max: 2 }),
      checkpoint: fc.boolean(),
      deposits: fc.array(fc.record({ account: fc.nat(2), what: fc.nat(3) }), { maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rollback' as const), depth: fc.nat({ max: 9 }) }),
  },
)

type Append = Extract<typeof step extends fc.Arbitrary<infer S> ? S : never, { kind: 'append' }>

/** The whole chain in plain lists. */
class Model {
  blocks: BlockHeader[] = []
  events: ChainEvent[] = []
  /** First block that was never more than the window's length behind the head. */
  windowStart = 0
  #salt = 0

  grow({ blocks, gap, nodes, checkpoint, deposits }: Append) {
    const headers: BlockHeader[] = []
    for (let i = 0; i < blocks; i++) {
      const before = this.blocks.at(-1)?.timestamp ?? 90
      const next = header(this.blocks.length, before + 1 + (i === 0 ? gap : 0), this.#salt++)
      headers.push(next)
      this.blocks.push(next)
    }
    this.windowStart = Math.max(this.windowStart, this.blocks.length - 8)
    const block = headers[0] as BlockHeader
    const count = this.events.filter(({ type }) => type === 'registered').length
    const epoch = this.events.filter(({ type }) => type === 'accepted').length - 1
    const events: ChainEvent[] = Array.from({ length: nodes }, (_, i) => ({
      contract: 'registry',
      type: 'registered',
      block,
      index: count + i,
      entry: entry(count + i, count + i),
    }))
    if (checkpoint) {
      const accepted = acceptedAt(epoch, block)
      events.push({ contract: 'checkpoints', type: 'accepted', block, accepted })
    }
    for (const { account, what } of deposits) events.push(depositEvent(block, account, what))
    this.events.push(...events)
    return { headers, events }
  }

  cut(to: number): void {
    this.blocks = this.blocks.slice(0, to + 1)
    this.events = this.events.filter(({ block }) => block.number <= BigInt(to))
  }

  compare(view: ChainView): void {
    const head = this.blocks.at(-1)
    assert.deepEqual(view.head(), head)
    for (const block of this.blocks) {
      const upTo = this.events.filter(event => event.block.number <= block.number)
      assert.deepEqual(
        view.registryAt(block.number).map(({ index }) => index),
        upTo.flatMap(event => (event.type === 'registered' ? event.index : [])),
      )
      assert.deepEqual(
        view.checkpointsAt(block.number).map(({ epoch }) => epoch),
        upTo.flatMap(event => (event.type === 'accepted' ? event.accepted.epoch : [])),
      )
      assert.deepEqual(
        view.depositsAt(block.number),
        depositEntries(upTo.filter(event => event.contract === 'deposits')),
      )
      const found = view.block(block.number)
      assert.ok(found === undefined || found.timestamp === block.timestamp)
      if (block.number >= this.windowStart) assert.deepEqual(found, block)
    }
    for (const event of this.events) {
      assert.deepEqual(view.block(event.block.number), event.block)
    }
    for (let epoch = 0; epoch < 60; epoch++) {
      const seconds = EPOCHS.genesis + epoch * EPOCHS.seconds
      const certain = (head?.timestamp ?? 0) >= seconds
      const before = this.blocks.findLast(({ timestamp }) => timestamp < seconds)
      assert.deepEqual(view.lastBlockBefore(seconds), certain ? before : undefined)
    }
    for (let seconds = 91; seconds <= (head?.timestamp ?? 0); seconds++) {
      const found = view.lastBlockBefore(seconds)
      const before = this.blocks.findLast(({ timestamp }) => timestamp < seconds)
      assert.ok(found === undefined || found === before || found.number === before?.number)
    }
  }
}

function depositEvent(block: BlockHeader, number: number, what: number): DepositsEvent {
  const account = new Uint8Array(20).fill(number)
  const from = { contract: 'deposits', block, account } as const
  if (what === 3) return { ...from, type: 'named', key: sha256(Uint8Array.of(number >> 1)) }
  const type = (['deposited', 'requested', 'withdrawn'] as const)[what] as 'deposited'
  return { ...from, type, amount: BigInt(number + 1) }
}

function header(number: number, timestamp: number, salt = 0): BlockHeader {
  return { number: BigInt(number), hash: sha256(Uint8Array.of(number, salt, salt >> 8)), timestamp }
}

function entry(index: number, identity: number): RegistryEntry {
  const account = new Uint8Array(20)
  return {
    index,
    operator: account,
    payout: account,
    identity: sha256(Uint8Array.of(identity)),
    voting: new Uint8Array(48),
    cell: 0n,
    region: 0,
    subBand: 0,
    gain: 0,
    kinds: 0,
    nonceEnd: new Uint8Array(32),
    bond: 5n,
    registeredAt: 0,
    exitAt: 0,
  }
}

function acceptedAt(epoch: number, block: BlockHeader) {
  return {
    epoch,
    root: new Uint8Array(32),
    checkpoint: new Uint8Array(468),
    round: 0,
    block,
    transaction: '0x',
    submitter: new Uint8Array(20),
    gasUsed: 0n,
  }
}
