import { strict as assert } from 'node:assert'
import { Clients, type DealKeys, TOLD_PER_EPOCH } from '@cairn/node'
import { type Deal, dealId, ed25519, hex, MessageType } from '@cairn/protocol'
import { clientKey, clientSecret, pieceOf } from '../../../protocol/test/kinds/storage/world.ts'
import { dealOf, EPOCH, pattern, peerName, stream, World, type WorldInit } from './world.ts'

/** The node whose deal key is that of client 1. */
const CLIENT = 6

const ownKey = {
  key: clientKey(1),
  sign: (root: Uint8Array) => ed25519.sign(root, clientSecret(1)),
}
const keys = (index: number): DealKeys => {
  if (index !== CLIENT) return { all: () => [], of: () => undefined }
  return { all: () => [ownKey], of: key => (hex(key) === hex(ownKey.key) ? ownKey : undefined) }
}

const piece = pieceOf(3_000, 5)

describe('a piece that a provider lost', () => {
  let world: World

  afterEach(() => world.stop())

  const deal = (change: Partial<Deal> = {}) =>
    dealOf({ piece, startEpoch: EPOCH - 20, endEpoch: EPOCH + 90, ...change })

  /** Provider 0 knows where the client is that proposed these deals, and loses their piece. */
  async function losing(deals: readonly Deal[], init: WorldInit = {}): Promise<void> {
    world = new World({ keys, deals: [...deals], ...init })
    await world.start()
    const { store, pieces } = world.node(0)
    const clients = new Clients({ store: store.sublevel('storage-clients') })
    for (const known of deals) {
      await clients.remember({ deal: dealId(known), endEpoch: known.endEpoch }, peerName(CLIENT))
    }
    await pieces.put(stream(pattern(3_000, 5)))
    await pieces.lose(piece)
  }

  const settle = () => world.clock.run({ until: world.clock.now() + 2_000 })
  const endings = (deals: readonly Deal[]) =>
    deals.map(one => world.node(CLIENT).half.prospectOf(one).ending)

  it('is told to its client, whose deal ends then, whatever its operator set', async () => {
    const deals = [deal(), deal({ nonce: 9n, place: 4 }), deal({ nonce: 2n, piece: pieceOf(9, 1) })]
    await losing(deals)
    world.node(0).half.tellLosses()
    await settle()
    assert.deepEqual(endings(deals), [true, true, false])
    const said = world.node(CLIENT).published.filter(({ type }) => type === MessageType.dealEnd)
    assert.equal(said.length, 2)
    const warnings = world.lines.filter(({ text }) => text === 'a provider lost a piece')
    assert.equal(warnings.length, 2)
  })

  it('is told again in the next epoch while the client is away, and not once that agreed', async () => {
    const deals = [deal()]
    await losing(deals)
    const { network } = world.node(CLIENT)
    await network.stop()
    await world.toEpoch(EPOCH, deals)
    await world.clock.run({ until: world.clock.now() + 30_000 })
    assert.deepEqual(endings(deals), [false])
    await network.start()
    await world.toEpoch(EPOCH + 3, deals)
    await settle()
    assert.deepEqual(endings(deals), [true])
    const asked = world.lines.filter(({ text }) => text === 'a provider lost a piece').length
    await world.toEpoch(EPOCH + 4, deals)
    await settle()
    const now = world.lines.filter(({ text }) => text === 'a provider lost a piece').length
    assert.equal(now, asked)
  })

  it('is not told of when it came in again, nor for a deal that has not begun', async () => {
    const coming = deal({ startEpoch: EPOCH + 2, nonce: 3n })
    await losing([coming])
    world.node(0).half.tellLosses()
    await settle()
    await world.node(0).pieces.put(stream(pattern(3_000, 5)))
    await world.toEpoch(EPOCH + 5, [coming])
    await settle()
    assert.deepEqual(endings([coming]), [false])
  })

  it('is told of for so many deals at once, and for the others in the next epoch', async () => {
    const many = TOLD_PER_EPOCH + 3
    const deals = Array.from({ length: many }, (_, i) => deal({ nonce: BigInt(i), place: i }))
    await losing(deals)
    world.node(0).half.tellLosses()
    await world.clock.run({ until: world.clock.now() + 8_000 })
    const ended = () => endings(deals).filter(Boolean).length
    assert.equal(ended(), TOLD_PER_EPOCH)
    await world.toEpoch(EPOCH + 1, deals)
    await world.clock.run({ until: world.clock.now() + 8_000 })
    assert.equal(ended(), many)
  })

  it('is told of to everybody by and by, however many of the others are away', async () => {
    const many = TOLD_PER_EPOCH + 3
    const deals = Array.from({ length: many }, (_, i) => deal({ nonce: BigInt(i), place: i }))
    await losing([])
    const clients = new Clients({ store: world.node(0).store.sublevel('storage-clients') })
    const order = deals.toSorted((a, b) => (hex(dealId(a)) < hex(dealId(b)) ? -1 : 1))
    for (const [place, known] of order.entries()) {
      const peer = place < TOLD_PER_EPOCH ? 'away' : peerName(CLIENT)
      await clients.remember({ deal: dealId(known), endEpoch: known.endEpoch }, peer)
    }
    for (let plus = 0; plus < 2; plus++) {
      await world.toEpoch(EPOCH + plus, deals)
      await world.clock.run({ until: world.clock.now() + 8_000 })
    }
    assert.equal(endings(deals).filter(Boolean).length, 3)
  })

  it('ends no deal of another provider', async () => {
    const others = [deal({ provider: 1 })]
    await losing(others)
    world.node(0).half.tellLosses()
    await settle()
    assert.deepEqual(endings(others), [false])
  })
})
