import { strict as assert } from 'node:assert'
import { AUDITS_MAX, AUDITS_PER_EPOCH, type DealKeys, type Network } from '@cairn/node'
import {
  Audit,
  type Deal,
  dataLeaves,
  dealId,
  decode,
  ed25519,
  hex,
  MessageType,
  messageId,
  type Piece,
  plainVerifier,
  storageKind,
} from '@cairn/protocol'
import { clientKey, clientSecret, pieceOf } from '../../../protocol/test/kinds/storage/world.ts'
import { dealOf, EPOCH, pattern, peerName, stream, World, type WorldInit } from './world.ts'

/** The node whose deal key is that of client 1. */
const CLIENT = 6
const rule = storageKind.standing.find(({ type }) => type === MessageType.audit)

const ownKey = {
  key: clientKey(1),
  sign: (root: Uint8Array) => ed25519.sign(root, clientSecret(1)),
}
const keys = (index: number): DealKeys => {
  if (index !== CLIENT) return { all: () => [], of: () => undefined }
  return { all: () => [ownKey], of: key => (hex(key) === hex(ownKey.key) ? ownKey : undefined) }
}

const payload = pattern(200_000, 5)
const piece: Piece = pieceOf(200_000, 5)
const deals = [0, 1, 2].map(provider => dealOf({ provider, piece, startEpoch: EPOCH - 1 }))

describe('a client that looks at what it has stored', () => {
  let world: World

  async function begin(init: WorldInit = {}): Promise<World> {
    world = new World({ keys, deals, ...init })
    for (const provider of new Set((init.deals ?? deals).map(deal => deal.provider))) {
      await world.node(provider).pieces.put(stream(payload), { expected: piece })
    }
    await world.start()
    return world
  }

  afterEach(() => world.stop())

  const audit = () => world.run(world.node(CLIENT).half.audit())
  const outcomes = async () =>
    (await audit())
      .map(({ deal, outcome, reported }) => [deal.deal.provider, outcome, reported] as const)
      .sort(([a], [b]) => a - b)

  /** The audits that the client published, each valid for everybody. */
  function said(): Audit[] {
    const published = world.node(CLIENT).published.filter(({ type }) => type === MessageType.audit)
    return published.map(envelope => {
      const message = { id: messageId(envelope), value: decode(Audit, envelope.body) }
      const { signature } = envelope
      assert.equal(rule?.verify(message, signature, world.base, plainVerifier), 'yes')
      assert.equal(rule?.pending(message, world.base), true)
      return message.value
    })
  }

  it('finds all well while its providers give the leaves', async () => {
    await begin()
    assert.deepEqual(await outcomes(), [
      [0, 'given', false],
      [1, 'given', false],
      [2, 'given', false],
    ])
    assert.deepEqual(said(), [])
  })

  it('says of one that lost a piece, of another that is away, and of nobody else', async () => {
    await begin()
    await world.node(0).pieces.delete(piece)
    world.network.crash(peerName(2))
    assert.deepEqual(await outcomes(), [
      [0, 'pieceMissing', true],
      [1, 'given', false],
      [2, 'unreachable', true],
    ])
    const about = [deals[0], deals[2]].map(deal => hex(dealId(deal as Deal))).sort()
    assert.deepEqual(
      said()
        .map(({ deal }) => hex(deal))
        .sort(),
      about,
    )
    for (const { leaf, epoch } of said()) {
      assert.ok(leaf < dataLeaves(piece))
      assert.equal(epoch, EPOCH)
    }
    const { half } = world.node(CLIENT)
    assert.equal(half.prospectOf(deals[0] as Deal).audit, 'pieceMissing')
    assert.equal(half.outlook().client?.failedAudits, 2)
  })

  it('takes wrong bytes for none', async () => {
    await begin({ wrapNetwork: lying(0) })
    const [first] = await outcomes()
    assert.deepEqual(first, [0, 'pieceDamaged', true])
  })

  it('gives up on one that does not answer, within its patience', async () => {
    await begin({ wrapNetwork: silent(0) })
    const before = world.clock.now()
    const [first] = await outcomes()
    assert.deepEqual(first, [0, 'timeout', true])
    assert.ok(world.clock.now() - before <= 2 * world.base.profile.proofDeadlineMs + 100)
  })

  it('does not wait for one provider again and again in one request', async () => {
    const many = Array.from({ length: 40 }, (_, i) =>
      dealOf({ piece, startEpoch: EPOCH - 1, nonce: BigInt(i), pricePerEpoch: 1n }),
    )
    await begin({ deals: [...many, deals[1] as Deal], wrapNetwork: silent(0) })
    const before = world.clock.now()
    const found = await outcomes()
    const count = (outcome: string) => found.filter(([, code]) => code === outcome).length
    assert.deepEqual([count('given'), count('timeout') + count('notAsked')], [1, 40])
    assert.ok(count('timeout') <= 2 + 8)
    assert.ok(world.clock.now() - before <= 5 * world.base.profile.proofDeadlineMs)
    assert.equal(said().length, count('timeout'))
  })

  it('says it once for a deal and epoch, whatever it finds', async () => {
    await begin()
    await world.node(0).pieces.delete(piece)
    await audit()
    const [again] = await outcomes()
    assert.deepEqual(again, [0, 'pieceMissing', true])
    assert.equal(said().length, 1)
  })

  it('looks at some deals in every epoch without being asked, spread over it', async () => {
    await begin()
    await world.node(0).pieces.delete(piece)
    await world.toEpoch(EPOCH, deals)
    assert.equal(world.node(CLIENT).half.prospectOf(deals[1] as Deal).audit, undefined)
    await world.toSlot(world.base.profile.attestUntilSlot)
    const found = deals.map(deal => world.node(CLIENT).half.prospectOf(deal).audit)
    assert.deepEqual(found, ['pieceMissing', 'given', 'given'])
    assert.equal(said().length, 1)
  })

  it('asks no more than its share in an epoch, and no more than a request allows', async () => {
    const asked: string[] = []
    const many = Array.from({ length: AUDITS_MAX + 1 }, (_, i) =>
      dealOf({ piece, startEpoch: EPOCH - 1, nonce: BigInt(i), pricePerEpoch: 1n }),
    )
    await begin({ deals: many, wrapNetwork: noting(asked) })
    await world.toEpoch(EPOCH, many)
    await world.toSlot(world.base.profile.slotsPerEpoch, -1)
    assert.equal(asked.length, AUDITS_PER_EPOCH)
    assert.equal((await audit()).length, AUDITS_MAX)
  })

  it('looks at the deals over the pieces it is asked for', async () => {
    const other = pieceOf(500, 8)
    await begin({ deals: [...deals, dealOf({ provider: 3, piece: other, nonce: 4n })] })
    const found = await world.run(world.node(CLIENT).half.audit([other]))
    assert.deepEqual(
      found.map(({ deal, outcome }) => [deal.deal.provider, outcome]),
      [[3, 'pieceMissing']],
    )
  })

  it('looks at nothing of others', async () => {
    await begin()
    assert.deepEqual(await world.run(world.node(3).half.audit()), [])
  })
})

type Serve = Parameters<Network['serve']>[2]

/** Changes how one node answers `piece-get`. */
function answering(index: number, change: (answer: Serve) => Serve) {
  return (network: Network, of: number): Network =>
    of !== index
      ? network
      : delegate(network, {
          serve: (protocol, options, answer) =>
            network.serve(protocol, options, protocol === 'piece-get' ? change(answer) : answer),
        })
}

function lying(index: number) {
  return answering(index, answer => async (request, from) => {
    const bytes = (await answer(request, from)).slice()
    bytes[100] = (bytes[100] as number) ^ 1
    return bytes
  })
}

function silent(index: number) {
  return answering(index, () => () => new Promise<Uint8Array>(() => {}))
}

/** Notes which ranges the client asks for. */
function noting(asked: string[]) {
  return (network: Network, of: number): Network =>
    of !== CLIENT
      ? network
      : delegate(network, {
          request: (peer, protocol, request, options) => {
            if (protocol === 'piece-get') asked.push(peer)
            return network.request(peer, protocol, request, options)
          },
        })
}

function delegate(network: Network, change: Partial<Network>): Network {
  return new Proxy(network, {
    get: (target, name) => {
      const own = change[name as keyof Network]
      if (own !== undefined) return own
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
