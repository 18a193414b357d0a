import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import {
  type DealKeys,
  FETCHES_MAX,
  Fetches,
  type Network,
  PieceProtocol,
  pullPiece,
  RESERVED_PARTS,
  type RequestOptions,
  Stranger,
  type Toll,
} from '@cairn/node'
import {
  bls,
  CairnError,
  decode,
  type EpochBase,
  ed25519,
  MessageType,
  type Piece,
  PieceRange,
  type SettledFinding,
  STORAGE,
  type StrangerFetch,
  StrangerOutcome,
  SUBTREE_PAYLOAD,
  slotStart,
  storageInventory,
  strangerRange,
  strangerSlot,
  TESTNET_PROFILE,
  TOKEN,
} from '@cairn/protocol'
import {
  baseOf,
  clientKey,
  clientSecret,
  deposit,
  stateOf,
} from '../../../protocol/test/kinds/storage/world.ts'
import { dealOf, EPOCH, pattern, peerName, stream, World, type WorldInit } from './world.ts'

/** The node that fetches under the deal key of client 1. */
const CLIENT = 6
const { attestUntilSlot, strangerBytes } = TESTNET_PROFILE
const MIB = 2 ** 20

const ownKey = {
  key: clientKey(1),
  sign: (root: Uint8Array) => ed25519.sign(root, clientSecret(1)),
}
const keys = (index: number): DealKeys => ({
  all: () => (index === CLIENT ? [ownKey] : []),
  of: () => undefined,
})

describe('a stranger', () => {
  let world: World
  /** Peers that asked node 0 for bytes, with what they asked for. */
  let askers: { peer: string; range: PieceRange }[]
  let piece: Piece

  /** Node 0 keeps one piece under a deal; the next epoch begins. */
  async function begin(init: WorldInit = {}): Promise<void> {
    askers = []
    world = new World({ keys, deposits: [deposit(1, TOKEN)], ...init })
    await world.start()
    piece = await world.node(0).pieces.put(stream(pattern(3 * MIB), 1_000_000))
    watch()
  }

  const next = async () => {
    await world.toEpoch(EPOCH + 1, [dealOf({ piece, startEpoch: 1, endEpoch: EPOCH + 1_000 })])
  }

  function watch(): void {
    const { toll } = world.node(0).half
    if (toll === undefined) return
    const take = toll.take.bind(toll)
    toll.take = (peer, bytes) => {
      askers.push({ peer, range: { piece, offset: 0, length: bytes } })
      return take(peer, bytes)
    }
  }

  afterEach(() => world.stop())

  const verifiers = () => world.base.duty(STORAGE, 0).verifiers
  const toll = () => world.node(0).half.toll as Toll
  const said = () =>
    world.set.ofType<StrangerFetch>(MessageType.strangerFetch, STORAGE).map(({ value }) => value)
  const outcomes = () => said().map(({ outcome }) => outcome)
  const attested = () =>
    world.clock.run({ until: slotStart(world.base, EPOCH + 1, attestUntilSlot + 1) })
  const finding = (): SettledFinding | undefined =>
    world.settle().findings?.find(({ node, code }) => node === 0 && code !== 'debts')

  /** Fetches the piece on account, so that a receipt is there at the end of the epoch. */
  async function fetchPaid(): Promise<void> {
    const network = world.node(CLIENT).half.paying()
    const pull = async () => {
      const init = { piece, peers: [peerName(0)], signal: new AbortController().signal }
      for await (const _ of pullPiece({ network, clock: world.clock }, init));
    }
    await world.run(pull())
    await world.clock.run({ until: world.clock.now() + 2_000 })
  }

  it('fetches once for each verifier, in its slot, what its output says, and nobody knows it', async () => {
    await begin({ keys: () => ({ all: () => [], of: () => undefined }) })
    await next()
    const slots = new Map<number, number>()
    for (let slot = 0; slot <= attestUntilSlot; slot++) {
      await world.clock.run({ until: slotStart(world.base, EPOCH + 1, slot + 1) })
      for (const { author } of said()) slots.set(author, slots.get(author) ?? slot)
    }
    assert.deepEqual(
      said()
        .map(({ author }) => author)
        .toSorted(),
      verifiers().toSorted(),
    )
    const inventory = storageInventory(world.base, 0)
    let bytes = 0
    for (const { author, target, output, outcome } of said()) {
      assert.deepEqual([target, outcome], [0, StrangerOutcome.given])
      const slot = strangerSlot(output, TESTNET_PROFILE)
      assert.ok([slot, slot + 1].includes(slots.get(author) as number))
      bytes += strangerRange(inventory, output).length
    }
    assert.equal(toll().free().used, bytes)
    const peers = new Set(askers.map(({ peer }) => peer))
    assert.equal(peers.size, verifiers().length, 'each was somebody else')
    for (const { peer } of world.nodes) assert.ok(!peers.has(peer))
    assert.equal(finding()?.facts.fetches, verifiers().length)
    assert.equal(finding()?.facts.failed, 0)
  })

  it('that is refused by a provider that serves its clients leaves it its base share alone', async () => {
    await begin()
    const honest = toll().take
    toll().take = (peer, bytes) => {
      if (!world.nodes.some(node => node.peer === peer)) throw new CairnError('unpaid', 'pay first')
      return honest.call(toll(), peer, bytes)
    }
    await next()
    await fetchPaid()
    await world.clock.run({ until: slotStart(world.base, EPOCH + 2, 0) - 1 })
    const settled = world.settle()
    const least = (BigInt(3 * MIB) * TESTNET_PROFILE.servedPrice) / 2n ** 30n
    const delivered = String(settled.fees[0]?.amount)
    assert.ok(BigInt(delivered) >= least, 'its client pays all the same')
    assert.deepEqual([...settled.served], [])
    assert.deepEqual(
      settled.fees.map(({ node }) => node),
      [0],
    )
    assert.deepEqual(finding(), {
      node: 0,
      code: 'notServing',
      facts: {
        fetches: verifiers().length,
        failed: verifiers().length,
        operators: verifiers().length,
        reason: 'refused',
        delivered,
        served: '0',
      },
    })
  })

  it('that is served lets what receipts moved count', async () => {
    await begin()
    await next()
    await fetchPaid()
    await world.clock.run({ until: slotStart(world.base, EPOCH + 2, 0) - 1 })
    const { served, fees } = world.settle()
    assert.deepEqual([...served], [[0, fees[0]?.amount]])
    assert.equal(finding()?.code, 'strangers')
  })

  it('says what it met: nobody there, other bytes, no bytes', async () => {
    await begin()
    await next()
    world.network.crash(peerName(0))
    await attested()
    assert.deepEqual(
      outcomes(),
      verifiers().map(() => StrangerOutcome.unreachable),
    )
    await world.stop()

    await begin()
    const { pieces } = world.node(0)
    const readProven = pieces.readProven.bind(pieces)
    pieces.readProven = async range => {
      const proof = await readProven(range)
      return { ...proof, payload: proof.payload.map(byte => byte ^ 1) }
    }
    await next()
    await attested()
    assert.deepEqual(new Set(outcomes()), new Set([StrangerOutcome.damaged]))
    await world.stop()

    await begin()
    await next()
    world.node(0).pieces.readProven = async () => {
      throw new CairnError('pieceDamaged', 'the disk fails')
    }
    await attested()
    assert.deepEqual(new Set(outcomes()), new Set([StrangerOutcome.damaged]))
  })

  it('asks once more where a packet may have been lost', async () => {
    await begin({ loss: 0.2 })
    await next()
    await attested()
    const given = outcomes().filter(outcome => outcome === StrangerOutcome.given)
    assert.ok(2 * given.length > outcomes().length)
  })

  it('is served in the same epoch in which others took what is free', async () => {
    await begin({ deposits: [] })
    await next()
    const most = strangerBytes - Math.floor(strangerBytes / RESERVED_PARTS)
    const asked: string[] = []
    const take = (peer: string, bytes: number) => {
      try {
        toll().take(peer, bytes)
        return true
      } catch (error) {
        asked.push((error as CairnError).code)
        return false
      }
    }
    for (let left = most; left > 0; left -= MIB) assert.ok(take('greedy', Math.min(left, MIB)))
    assert.equal(take('greedy', 1), false)
    assert.equal(take('other', SUBTREE_PAYLOAD + 1), false, 'what is left is for small requests')
    assert.deepEqual(asked, ['unpaid', 'unpaid'])
    await attested()
    assert.deepEqual(
      outcomes(),
      verifiers().map(() => StrangerOutcome.given),
    )
    const first = said()[0] as StrangerFetch
    assert.equal(take('once', 1_000), true)
    assert.equal(take('once', 1_000), false, 'and for the first of each peer')
    assert.equal(first.epoch, EPOCH + 1)
  })

  it('fetches from a bounded number of providers at once, and is silent of the others', async () => {
    await begin()
    let asked = 0
    const network = {
      requestAsStranger: async (
        _: string,
        protocol: string,
        request: Uint8Array,
        { signal }: RequestOptions,
      ) => {
        assert.equal(protocol, PieceProtocol.get)
        assert.ok(decode(PieceRange, request).length > 0)
        asked++
        await once(signal, 'abort')
        throw new CairnError('timeout', 'nobody answers')
      },
    } as unknown as Network
    const nodes = 40
    const deals = Array.from({ length: nodes }, (_, provider) =>
      dealOf({ provider, piece, startEpoch: 1, nonce: BigInt(provider) }),
    )
    const profile = { ...TESTNET_PROFILE, storageReveal: [3, 3] as const }
    const many: EpochBase = baseOf({
      registry: world.base.nodes.concat(
        Array.from({ length: nodes - world.base.nodes.length }, (_, i) => ({
          ...(world.base.nodes[0] as EpochBase['nodes'][number]),
          index: world.base.nodes.length + i,
        })),
      ),
      state: stateOf(deals),
      profile,
    })
    const busiest = many.nodes
      .map(({ index }) => index)
      .find(
        index =>
          many.nodes.filter(target => many.duty(STORAGE, target.index).verifiers.includes(index))
            .length > FETCHES_MAX,
      )
    assert.ok(busiest !== undefined)
    const components = {
      clock: world.clock,
      // Of two nodes on one host.
      fetches: new Fetches(),
      network,
      voice: new Proxy(world.node(0).voice, {
        get: (voice, name) => (name === 'index' ? () => busiest : Reflect.get(voice, name)),
      }),
      signer: { signVoting: (input: Uint8Array) => bls.sign(input, new Uint8Array(32).fill(3)) },
      log: world.log,
      peerOf: ({ index }: { index: number }) => peerName(index),
    }
    const strangers = [new Stranger(components), new Stranger(components)]
    for (const stranger of strangers) stranger.epoch(many)
    await world.clock.run({ until: slotStart(many, EPOCH, 4) })
    assert.equal(asked, FETCHES_MAX)
    for (const stranger of strangers) await stranger.stop()
  })
})
