import { strict as assert } from 'node:assert'
import type { Finding, NodeKind } from '@cairn/node'
import {
  type Attestation,
  type Challenge,
  type EpochBase,
  type EpochMessage,
  hex,
  KERNEL_KIND,
  type Kind,
  type Known,
  MessageType,
  messageId,
  Verdict,
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import { ECHO, echo } from '../../../protocol/test/kinds/trivial.ts'
import { revealSlot, tip } from './messages.ts'
import { echoKind, NodeWorld, peerName, type WorldInit, type WorldNode } from './world.ts'

const FOUND: Finding = { verdict: Verdict.pass, reason: 0, evidence: new Uint8Array() }

interface Calls {
  epochs: number[]
  challenged: Known<Challenge>[]
  heard: [MessageType, Known<EpochMessage>][]
  asked: { challenge: Known<Challenge>; signal: AbortSignal }[]
}

/** A half of the trivial kind that notes what it is told, and answers with `attest`. */
function noting(
  calls: Calls,
  attest: (signal: AbortSignal) => Promise<Finding | undefined> = async () => FOUND,
): NodeKind {
  return {
    kind: echoKind,
    epoch: base => calls.epochs.push(base.epoch),
    challenged: challenge => calls.challenged.push(challenge),
    heard: (type, message) => calls.heard.push([type, message]),
    attest: async (challenge, _, signal) => {
      calls.asked.push({ challenge, signal })
      return await attest(signal)
    },
  }
}

/** One running node of a network of which it is the only one; and who it would ask. */
async function alone(
  index: number,
  init: WorldInit & { attest?: (signal: AbortSignal) => Promise<Finding | undefined> } = {},
) {
  const world = new NodeWorld({ nodes: 6, ...init })
  const calls: Calls = { epochs: [], challenged: [], heard: [], asked: [] }
  const one = world.node(index, { halves: () => [noting(calls, init.attest)] })
  const said: { type: MessageType; id: string; slot: number; value: EpochMessage }[] = []
  one.node.ingest.onArrival(({ type, message, source, at, base }) => {
    if (source !== 'own') return
    const slot = (at - world.epochStart(base.epoch)) / world.profile.slotMs
    said.push({ type, id: hex(message.id), slot, value: message.value })
  })
  await one.node.start()
  return { world, one, calls, said }
}

/** Targets that a node asks, with the slot of each. */
function revealsOf(world: NodeWorld, base: EpochBase, index: number): Map<string, number> {
  const authors = world.authors(base)
  const found = new Map<string, number>()
  for (const target of echo.targets(base)) {
    const order = base.duty(ECHO, target).challengers.indexOf(index)
    if (order === -1) continue
    const challenge = authors.challenge(target, order)
    found.set(hex(messageId(challenge)), revealSlot(base, challenge))
  }
  return found
}

const challengesIn = (said: { type: MessageType }[]) =>
  said.filter(({ type }) => type === MessageType.challenge) as {
    type: MessageType
    id: string
    slot: number
  }[]

/** A challenge of another whose verifier the node is, and the slot that it is due in. */
function toVerify(world: NodeWorld, base: EpochBase, index: number) {
  for (const target of echo.targets(base)) {
    const { challengers, verifiers } = base.duty(ECHO, target)
    if (!verifiers.includes(index)) continue
    for (const order of challengers.keys()) {
      const challenge = world.authors(base).challenge(target, order)
      return { challenge, slot: revealSlot(base, challenge) }
    }
  }
  throw new Error(`${index} verifies nothing`)
}

async function baseOf(world: NodeWorld, one: WorldNode, epoch: number): Promise<EpochBase> {
  await world.run(epoch, 0, 50)
  return await world.base(one, epoch)
}

describe('a challenger', () => {
  it('reveals each of its challenges in its slot, one skew into it', async () => {
    const { world, one, said } = await alone(0)
    const base = await baseOf(world, one, 0)
    const expected = revealsOf(world, base, 0)
    assert.ok(expected.size > 0)
    await world.run(1)
    const revealed = challengesIn(said)
    const { skewMs, slotMs } = world.profile
    assert.deepEqual(
      new Map(revealed.map(({ id, slot }) => [id, slot])),
      new Map([...expected].map(([id, slot]) => [id, slot + skewMs / slotMs])),
    )
    assert.equal(revealed.length, expected.size, 'and each once')
  })

  it('reveals none that is needless when its slot comes', async () => {
    const asked: number[] = []
    const needless = {
      ...echo,
      needless: (_: EpochBase, target: number) => {
        asked.push(target)
        return target % 2 === 0
      },
    } as unknown as Kind<unknown>
    const { world, one, said } = await alone(0, { kinds: [needless] })
    const half = one.node.kinds[0] as NodeKind
    Object.assign(half, { kind: needless })
    const base = await baseOf(world, one, 1)
    await world.run(2)
    const targets = echo
      .targets(base)
      .filter(target => base.duty(ECHO, target).challengers.includes(0))
    const revealed = said
      .filter(({ type, value }) => type === MessageType.challenge && value.epoch === 1)
      .map(({ value }) => (value as Challenge).target)
    assert.deepEqual(revealed.sort(), targets.filter(target => target % 2 === 1).sort())
    assert.ok(asked.length >= targets.length)
  })

  it('reveals none when it learnt the seed after a third of the epoch', async () => {
    const world = new NodeWorld({ nodes: 6 })
    const honest = world.randomness()
    const calls: Calls = { epochs: [], challenged: [], heard: [], asked: [] }
    const one = world.node(0, {
      halves: () => [noting(calls)],
      randomness: {
        round: async (round, signal) =>
          world.clock.now() < world.time(0, 4) ? undefined : await honest.round(round, signal),
      },
    })
    await one.node.start()
    await world.run(0, 11, 900)
    assert.ok(one.node.epochs.base(0))
    assert.deepEqual(calls.epochs, [])
    assert.equal(one.node.epochs.record(0)?.set.size, 0)
    assert.ok(one.lines.some(({ level, text }) => level === 'info' && text.includes('too late')))
    await world.run(1, 1)
    assert.deepEqual(calls.epochs, [1], 'the next epoch is taken part in again')
  })

  it('does not reveal what it revealed before a restart, nor anything else', async () => {
    const world = new NodeWorld({ nodes: 6 })
    const store = new MemoryStore()
    const first = world.node(0, { store, halves: () => [] })
    await first.node.start()
    await world.run(0, 1)
    await world.until(first.node.stop())
    world.network.crash(peerName(0))
    const calls: Calls = { epochs: [], challenged: [], heard: [], asked: [] }
    for (let again = 0; again < 2; again++) {
      const next = world.node(0, { store, halves: () => [noting(calls)] })
      await next.node.start()
      await world.run(0, 2 + again)
      await world.until(next.node.stop())
      world.network.crash(peerName(0))
    }
    const last = world.node(0, { store, halves: () => [noting(calls)] })
    await last.node.start()
    await world.run(1)
    const set = last.node.epochs.record(0)?.set
    assert.deepEqual(set?.contradictions(), [])
    const base = last.node.epochs.base(0) as EpochBase
    const ids = [...revealsOf(world, base, 0).keys()]
    for (const { id } of set?.messages() ?? []) assert.ok(ids.includes(hex(id)))
  })
})

describe('a target', () => {
  it('is told of each challenge of it, and of no other', async () => {
    const { world, one, calls } = await alone(0)
    const base = await baseOf(world, one, 0)
    const authors = world.authors(base)
    const mine = authors.challenge(0)
    const others = authors.challenge(1)
    await world.run(0, 1)
    await one.node.ingest.add(mine, 'sync')
    await one.node.ingest.add(mine, 'sync')
    await one.node.ingest.add(others, 'sync')
    assert.deepEqual(
      calls.challenged.map(({ id }) => hex(id)),
      [hex(messageId(mine))],
    )
  })
})

describe('a verifier', () => {
  it('attests once, with the slot in which it saw the challenge', async () => {
    const { world, one, calls, said } = await alone(0)
    const base = await baseOf(world, one, 0)
    const { challenge, slot } = toVerify(world, base, 0)
    await world.run(0, slot + 1, 700)
    await one.node.ingest.add(challenge, 'sync')
    await one.node.ingest.add(challenge, 'gossip')
    await world.run(1)
    assert.equal(calls.asked.length, 1)
    const attested = said.filter(({ type }) => type === MessageType.attestation)
    assert.equal(attested.length, 1)
    const value = attested[0]?.value as Attestation
    assert.equal(value.seenSlot, slot + 1)
    assert.deepEqual(value.challenge, messageId(challenge))
    assert.equal(value.author, 0)
  })

  it('with a slow clock saw one that came just before its slot in it', async () => {
    for (const [before, expected] of [
      [100, 0],
      [250, 0],
      [300, -1],
    ] as const) {
      const { world, one, said } = await alone(0)
      const base = await baseOf(world, one, 0)
      const { challenge, slot } = toVerify(world, base, 0)
      await world.run(0, slot, -before)
      await one.node.ingest.add(challenge, 'sync')
      await world.run(1)
      const [attested] = said.filter(({ type }) => type === MessageType.attestation)
      assert.ok(attested, `${before} ms`)
      assert.equal((attested.value as Attestation).seenSlot, slot + expected, `${before} ms`)
    }
  })

  it('of what waited for its base saw it when it came', async () => {
    const reference = await alone(1)
    const base = await baseOf(reference.world, reference.one, 0)
    const { challenge, slot } = toVerify(reference.world, base, 0)
    const world = new NodeWorld({ nodes: 6 })
    const honest = world.randomness()
    const calls: Calls = { epochs: [], challenged: [], heard: [], asked: [] }
    const one = world.node(0, {
      halves: () => [noting(calls)],
      randomness: {
        round: async (round, signal) =>
          world.clock.now() < world.time(0, 3, 500) ? undefined : await honest.round(round, signal),
      },
    })
    const seen: number[] = []
    one.node.ingest.onArrival(({ type, message }) => {
      if (type === MessageType.attestation) seen.push((message.value as Attestation).seenSlot)
    })
    await one.node.start()
    // Before the base is known, and not after its own slot.
    const came = Math.min(slot, 3)
    await world.run(0, came, 100)
    await one.node.ingest.add(challenge, 'sync')
    await world.run(1)
    assert.deepEqual(seen, [came])
  })

  it('says nothing where it found nothing, and nothing after the end of the epoch', async () => {
    for (const attest of [
      async () => undefined,
      async (signal: AbortSignal) =>
        await new Promise<Finding>(resolve =>
          signal.addEventListener('abort', () => resolve(FOUND), { once: true }),
        ),
    ]) {
      const { world, one, calls, said } = await alone(0, { attest })
      const base = await baseOf(world, one, 0)
      const { challenge, slot } = toVerify(world, base, 0)
      await world.run(0, slot, 300)
      await one.node.ingest.add(challenge, 'sync')
      await world.run(1, 2)
      assert.equal(calls.asked.length, 1)
      assert.deepEqual(
        said.filter(({ type }) => type === MessageType.attestation),
        [],
      )
      assert.equal(calls.asked[0]?.signal.aborted, true)
    }
  })

  it('that fails says so in the log, and goes on', async () => {
    const { world, one, calls } = await alone(0, {
      attest: async () => {
        throw new Error('a bug in a kind')
      },
    })
    const base = await baseOf(world, one, 0)
    const { challenge, slot } = toVerify(world, base, 0)
    await world.run(0, slot, 300)
    await one.node.ingest.add(challenge, 'sync')
    await world.run(1, 5)
    assert.equal(calls.asked.length, 1)
    assert.equal(one.lines.filter(({ text }) => text === 'a duty failed').length, 1)
    assert.deepEqual(calls.epochs, [0, 1])
  })

  it('is not asked about challenges that it reads back from its disk, or of other verifiers', async () => {
    const world = new NodeWorld({ nodes: 6 })
    const store = new MemoryStore()
    const first = await world.listener(0, { store })
    await world.run(0, 0, 300)
    const base = await world.base(first, 0)
    const { challenge } = toVerify(world, base, 0)
    await first.node.ingest.add(challenge, 'sync')
    await first.node.ledger.close()
    world.network.crash(peerName(0))
    const calls: Calls = { epochs: [], challenged: [], heard: [], asked: [] }
    const again = world.node(0, { store, halves: () => [noting(calls)] })
    await again.node.start()
    await world.run(0, 2)
    assert.ok(again.node.epochs.record(0)?.set.has(messageId(challenge)))
    const other = echo
      .targets(base)
      .find(target => !base.duty(ECHO, target).verifiers.includes(0)) as number
    await again.node.ingest.add(world.authors(base).challenge(other), 'sync')
    assert.deepEqual(calls.asked, [])
  })
})

describe('a kind', () => {
  it('is told of its other messages', async () => {
    const { world, one, calls } = await alone(0)
    const base = await baseOf(world, one, 0)
    const authors = world.authors(base)
    const [challenge, word] = [authors.challenge(2), tip(authors, 4)]
    const seal = authors.seal(challenge)
    for (const envelope of [challenge, word, seal]) await one.node.ingest.add(envelope, 'sync')
    assert.deepEqual(
      calls.heard.map(([type, { id }]) => [type, hex(id)]),
      [
        [MessageType.report, hex(messageId(word))],
        [MessageType.seal, hex(messageId(seal))],
      ],
    )
  })
})

describe('an idle node', () => {
  it('says once that it is back, and no other does', async () => {
    const { world, one, said } = await alone(0, { profile: { idleEpochs: 0 } })
    await baseOf(world, one, 0)
    await world.run(0, 11, 900)
    assert.deepEqual(
      said.map(({ type }) => type),
      [MessageType.ready],
    )
    assert.equal(said[0]?.value.kind, KERNEL_KIND)
    const busy = await alone(0)
    await busy.world.run(1)
    assert.ok(busy.said.every(({ type }) => type !== MessageType.ready))
  })
})

describe('a node that stops', () => {
  it('says nothing any more, and waits for what is under way', async () => {
    let ended = false
    const { world, one, calls, said } = await alone(0, {
      attest: signal =>
        new Promise(resolve => {
          signal.addEventListener('abort', () => {
            ended = true
            resolve(FOUND)
          })
        }),
    })
    const base = await baseOf(world, one, 0)
    const { challenge } = toVerify(world, base, 0)
    await world.run(0, 1)
    await one.node.ingest.add(challenge, 'sync')
    assert.equal(calls.asked.length, 1)
    const before = said.length
    await world.until(one.node.stop())
    assert.equal(ended, true)
    await world.run(2)
    assert.equal(said.length, before)
    assert.equal(world.network.tally.published, before)
    const { pending } = world.clock
    await world.run(4)
    assert.ok(world.clock.pending <= pending, 'no timer of it is left but the chain’s')
  })
})
