import { strict as assert } from 'node:assert'
import { createHash } from 'node:crypto'
import {
  Agreement,
  encodeLink,
  PieceList,
  Proposal,
  PULLS_MAX,
  PULLS_PER_PEER,
  type PutOptions,
} from '@cairn/node'
import {
  type Deal,
  Deal as DealType,
  dealId,
  dealSigningRoot,
  decode,
  type Envelope,
  ed25519,
  hashPiece,
  hex,
  plainVerifier,
  storageKind,
} from '@cairn/protocol'
import { clientKey, clientSecret } from '../../../protocol/test/kinds/storage/world.ts'
import { dealOf, EPOCH, pattern, peerName, stream, World, type WorldInit } from './world.ts'

const file = pattern(250_000, 9)
const options = (change: Partial<PutOptions> = {}): PutOptions => ({
  pieceBytes: 100_000,
  pricePerGiB: 1_000n,
  signal: new AbortController().signal,
  ...change,
})

describe('client', () => {
  let world: World

  async function begin(init: WorldInit = {}): Promise<World> {
    world = new World(init)
    await world.start()
    return world
  }

  afterEach(() => world.stop())

  const dealsIn = (envelopes: readonly Envelope[]) =>
    envelopes.map(({ body }) => decode(DealType, body))

  async function collect(
    client: Awaited<ReturnType<World['client']>>['client'],
    link: string,
    from = 0,
  ) {
    const parts: Uint8Array[] = []
    const result = await world.run(
      client.get(
        link,
        async bytes => {
          for await (const part of bytes) parts.push(part)
        },
        { from, signal: new AbortController().signal },
      ),
    )
    return { ...result, whole: Buffer.concat(parts) }
  }

  describe('put', () => {
    it('has every piece kept by two operators under deals that both signed', async () => {
      await begin()
      const { client, deals, cache } = await world.client()
      const result = await world.run(client.put(stream(file), options()))
      assert.equal(result.bytes, 250_000)
      assert.deepEqual(
        result.pieces.map(({ payload }) => payload),
        [100_000, 100_000, 50_000],
      )
      for (const piece of result.pieces) assert.equal(world.holders(piece).length, 2)
      assert.equal(deals.length, 8)
      const rule = storageKind.standing[0]
      for (const { body, signature } of deals) {
        const value = decode(DealType, body)
        const message = { id: dealId(value), value }
        assert.equal(rule?.verify(message, signature, world.base, plainVerifier), 'yes')
        assert.equal(rule?.pending(message, world.base), true)
      }
      assert.equal(new Set(deals.map(({ body }) => hex(body))).size, 8)
      assert.equal(cache.list().length, 0)
    })

    it('lets the provider publish the deal as well', async () => {
      await begin()
      const { client, deals } = await world.client()
      await world.run(client.put(stream(file), options({ copies: 1 })))
      const published = world.nodes.flatMap(node => node.published)
      const ids = (list: readonly Envelope[]) => list.map(({ body }) => hex(body)).sort()
      assert.deepEqual(ids(published), ids(deals))
    })

    it('asks for what was agreed in the options', async () => {
      await begin()
      const { client, deals } = await world.client()
      const put = client.put(
        stream(file),
        options({ copies: 3, epochs: 9, pricePerGiB: 2n ** 30n }),
      )
      await world.run(put)
      const agreed = dealsIn(deals)
      assert.equal(agreed.length, 12)
      for (const { pricePerEpoch, piece, startEpoch, endEpoch } of agreed) {
        assert.equal(pricePerEpoch, BigInt(piece.payload))
        assert.equal(endEpoch - startEpoch, 9)
        assert.ok(startEpoch > EPOCH)
      }
      assert.equal(new Set(agreed.map(({ place }) => place)).size, 12)
      assert.equal(new Set(agreed.map(({ group }) => hex(group))).size, 1)
    })

    it('places no two copies with one operator', async () => {
      await begin({ nodes: 6, operator: index => index % 2 })
      const { client, deals } = await world.client()
      await world.run(client.put(stream(file), options()))
      for (const piece of new Set(dealsIn(deals).map(deal => hex(deal.piece.root)))) {
        const providers = dealsIn(deals).filter(deal => hex(deal.piece.root) === piece)
        assert.deepEqual(providers.map(({ provider }) => provider % 2).sort(), [0, 1])
      }
      const more = client.put(stream(file), options({ copies: 3 }))
      await assert.rejects(world.run(more), { code: 'tooFewProviders' })
    })

    it('goes to others when providers are away, full, or too dear', async () => {
      await begin({ nodes: 4, quota: 230_000 })
      world.network.crash(peerName(0))
      const { client } = await world.client()
      const result = await world.run(client.put(stream(file), options({ copies: 1 })))
      for (const piece of result.pieces) assert.equal(world.holders(piece).length, 1)
      const dear = await begin({ floorPrice: 10n ** 9n })
      const poor = await dear.client()
      const put = poor.client.put(stream(file), options({ pricePerGiB: 10n ** 9n - 50_000n }))
      await assert.rejects(dear.run(put), error => {
        const { code, facts } = error as { code: string; facts: Record<string, unknown> }
        assert.equal(code, 'tooFewProviders')
        assert.match(String(facts.answers), /priceTooLow/)
        return true
      })
    })

    it('takes nothing for agreed that the provider did not sign', async () => {
      await begin({ nodes: 3 })
      world.network.crash(peerName(1))
      const liar = world.network.join(peerName(1))
      const serve = { maxRequestBytes: 1_000, maxResponseBytes: 100, perSecond: 100 }
      liar.serve('piece-put', serve, async () => new Uint8Array(64).fill(1))
      await liar.start()
      const { client, deals } = await world.client()
      await world.run(client.put(stream(file), options()))
      assert.ok(dealsIn(deals).every(({ provider }) => provider !== 1))
      await assert.rejects(world.run(client.put(stream(file), options({ copies: 3 }))), error => {
        const { facts } = error as { facts: Record<string, unknown> }
        assert.match(String(facts.answers), /1: badSignature/)
        return true
      })
    })

    it('stores the same bytes twice where a file repeats itself', async () => {
      await begin()
      const { client, deals, cache } = await world.client()
      const twice = new Uint8Array(200_000).fill(4)
      const { link, pieces } = await world.run(client.put(stream(twice), options()))
      assert.deepEqual(pieces[0], pieces[1])
      assert.equal(deals.length, 6)
      assert.equal(cache.list().length, 0)
      assert.ok((await collect(client, link)).whole.equals(twice))
    })

    it('gets through although a tenth of everything is lost', async () => {
      await begin({ loss: 0.1 })
      const { client } = await world.client()
      const { pieces } = await world.run(client.put(stream(file), options()))
      for (const piece of pieces) assert.ok(world.holders(piece).length >= 2)
    })

    it('passes on what its source throws, and leaves nothing in the cache', async () => {
      await begin()
      const { client, cache } = await world.client()
      async function* broken() {
        yield file
        throw new Error('the disk is gone')
      }
      await assert.rejects(world.run(client.put(broken(), options())), /the disk is gone/)
      assert.equal(cache.list().length, 0)
    })

    it('stops when its signal aborts', async () => {
      await begin()
      const { client, cache } = await world.client()
      for (const { peer } of world.nodes) world.network.sever(peer, 'client1')
      const controller = new AbortController()
      world.clock.at(world.clock.now() + 10, () => controller.abort(new Error('given up')))
      const put = client.put(stream(file), options({ signal: controller.signal }))
      await assert.rejects(world.run(put, 5_000))
      assert.equal(cache.list().length, 0)
    })
  })

  describe('get', () => {
    async function stored(init: WorldInit = {}) {
      await begin(init)
      const { client } = await world.client()
      const { link, pieces } = await world.run(client.put(stream(file), options()))
      const reader = await world.client({}, 2)
      return { link, pieces, ...reader }
    }

    it('gives another client the bytes and their hash', async () => {
      const { client, link, cache } = await stored()
      const { whole, bytes, sha256 } = await collect(client, link)
      assert.ok(whole.equals(file))
      assert.equal(bytes, file.length)
      assert.equal(sha256, createHash('sha256').update(file).digest('hex'))
      assert.equal(cache.list().length, 0)
    })

    it('gives an empty file back', async () => {
      await begin()
      const { client } = await world.client()
      const { link, pieces, bytes } = await world.run(client.put([], options()))
      assert.deepEqual([pieces, bytes], [[], 0])
      assert.equal((await collect(client, link)).bytes, 0)
    })

    it('goes on where the caller stopped', async () => {
      const { client, link } = await stored()
      for (const from of [0, 1, 100_000, 123_456, 249_999, 250_000]) {
        const { whole, bytes } = await collect(client, link, from)
        assert.ok(whole.equals(file.slice(from)), String(from))
        assert.equal(bytes, file.length - from)
      }
      await assert.rejects(collect(client, link, 250_001), { code: 'badRange' })
    })

    it('fetches a piece from another holder when one is away, lost it, or lies', async () => {
      const { client, link, pieces } = await stored()
      const holders = pieces.map(piece => world.holders(piece))
      const at = (peer: string | undefined) => world.nodes.find(node => node.peer === peer)
      // The holders in the ledger stay the same, whatever became of them.
      const known = new Map(pieces.map((piece, i) => [hex(piece.root), holders[i] ?? []]))
      const reader = await world.client(
        { holders: async piece => known.get(hex(piece.root)) ?? world.holders(piece) },
        3,
      )
      const [first, second, third] = pieces
      assert.ok(first && second && third)
      at(holders[0]?.[0])?.pieces.damage(first, 500)
      await at(holders[1]?.[0])?.pieces.delete(second)
      world.network.sever(String(holders[2]?.[0]), 'client3')
      assert.ok((await collect(reader.client, link)).whole.equals(file))
      assert.ok((await collect(reader.client, link)).whole.equals(file))
      assert.ok(client)
    })

    it('never gives the sink a byte of a piece that nobody has right', async () => {
      const { client, link, pieces } = await stored()
      const [, second] = pieces
      assert.ok(second)
      for (const { pieces: held } of world.nodes) if (held.has(second)) held.damage(second, 7)
      const got: Uint8Array[] = []
      const get = client.get(
        link,
        async bytes => {
          for await (const part of bytes) got.push(part)
        },
        { signal: new AbortController().signal },
      )
      await assert.rejects(world.run(get), error => {
        const { code, facts } = error as { code: string; facts: Record<string, unknown> }
        assert.equal(code, 'pieceUnavailable')
        assert.match(String(facts.answers), /peer2: pieceDamaged/)
        return true
      })
      assert.ok(Buffer.concat(got).equals(file.slice(0, 100_000)))
    })

    it('does not fetch again what came before the sink failed', async () => {
      const { client, link, cache } = await stored()
      const failing = client.get(
        link,
        async bytes => {
          for await (const _ of bytes) throw new Error('the disk is full')
        },
        { signal: new AbortController().signal },
      )
      await assert.rejects(world.run(failing), /the disk is full/)
      assert.equal(cache.list().length, 1)
      assert.ok((await collect(client, link)).whole.equals(file))
      assert.equal(cache.list().length, 0)
    })

    it('says so when nobody holds the pieces, or the link leads to something else', async () => {
      const { client, pieces } = await stored()
      const { piece } = hashPiece(file)
      await assert.rejects(collect(client, encodeLink(piece)), { code: 'pieceUnavailable' })
      const [first] = pieces
      assert.ok(first)
      await assert.rejects(collect(client, encodeLink(first)), { code: 'badPieceList' })
      const huge = { ...piece, payload: PieceList.maxSize + 1 }
      await assert.rejects(collect(client, encodeLink(huge)), { code: 'badPieceList' })
      await assert.rejects(collect(client, 'nothing'), { code: 'badLink' })
    })
  })

  describe('provider', () => {
    const bytes = pattern(40_000, 3)
    const good = () => dealOf({ piece: hashPiece(bytes).piece, startEpoch: EPOCH + 1 })

    function proposal(deal: Deal, secret = clientSecret(1)): Proposal {
      const root = dealSigningRoot(deal, world.base.network)
      return { deal, signature: ed25519.sign(root, secret) }
    }

    /** Proposes from a client that holds `held`. */
    async function propose(request: Proposal | Uint8Array, held: Uint8Array | undefined = bytes) {
      const { network, cache } = await world.client({}, counter++)
      if (held !== undefined) await cache.put(stream(held))
      const sent = request instanceof Uint8Array ? request : Proposal.serialize(request)
      const answer = await world.run(
        network.request(peerName(0), 'piece-put', sent, {
          signal: new AbortController().signal,
          maxResponseBytes: 100,
        }),
      )
      return decode(Agreement, answer)
    }

    let counter = 10

    it('signs the same again when it is asked again', async () => {
      await begin()
      const first = await propose(proposal(good()))
      const root = dealSigningRoot(good(), world.base.network)
      const identity = world.base.node(0)?.identity as Uint8Array
      assert.ok(ed25519.verify(root, identity, first.signature))
      assert.deepEqual(await propose(proposal(good()), undefined), first)
    })

    it('signs nothing that it could not verify', async () => {
      await begin()
      const { network } = await world.client({}, counter++)
      const liar = world.network.join('liar')
      const options = { maxRequestBytes: 100, maxResponseBytes: 1024 * 1024, perSecond: 100 }
      liar.serve('piece-get', options, async () => new Uint8Array(40_000))
      await liar.start()
      const sent = Proposal.serialize(proposal(good()))
      const init = { signal: new AbortController().signal, maxResponseBytes: 100 }
      const lied = liar.request(peerName(0), 'piece-put', sent, init)
      await assert.rejects(world.run(lied), { code: 'pieceUnavailable' })
      // One that serves nothing at all.
      const mute = network.request(peerName(0), 'piece-put', sent, init)
      await assert.rejects(world.run(mute), { code: 'pieceUnavailable' })
      assert.deepEqual(world.node(0).pieces.list(), [])
      assert.deepEqual(world.node(0).published, [])
    })

    it('is busy with a few that never serve, and free again after their time', async () => {
      await begin({ slotMs: 60_000 })
      const init = { signal: new AbortController().signal, maxResponseBytes: 100 }
      const options = { maxRequestBytes: 100, maxResponseBytes: 100, perSecond: 100 }
      const silent = async (name: string) => {
        const peer = world.network.join(name)
        peer.serve('piece-get', options, () => new Promise(() => {}))
        await peer.start()
        return (seed: number) => {
          const deal = { ...good(), piece: hashPiece(pattern(50_000, seed)).piece }
          return peer.request(peerName(0), 'piece-put', Proposal.serialize(proposal(deal)), init)
        }
      }
      const first = await silent('silent')
      const held = Array.from({ length: PULLS_PER_PEER }, (_, i) => first(20 + i))
      await world.clock.run({ until: world.clock.now() + 500 })
      // One peer cannot keep the others out.
      await assert.rejects(world.run(first(30)), { code: 'busy' })
      assert.ok(await propose(proposal({ ...good(), nonce: 5n })))
      for (let i = PULLS_PER_PEER; i < PULLS_MAX; i++) {
        held.push((await silent(`silent${i}`))(40 + i))
      }
      const outcomes = Promise.allSettled(held)
      await world.clock.run({ until: world.clock.now() + 500 })
      const other = { ...good(), piece: hashPiece(bytes.slice(1)).piece }
      await assert.rejects(propose(proposal(other), bytes.slice(1)), { code: 'busy' })
      for (const outcome of await world.run(outcomes)) {
        assert.equal((outcome as PromiseRejectedResult).reason.code, 'pending')
      }
      await world.clock.run({ until: world.clock.now() + 60_000 })
      assert.ok(await propose(proposal(other), bytes.slice(1)))
    })

    it('refuses with a code what it would not keep', async () => {
      await begin({ quota: 60_000, floorPrice: 1_000n })
      const deal = good()
      const large = hashPiece(pattern(70_000)).piece
      const cases: [string, Proposal | Uint8Array][] = [
        ['otherProvider', proposal({ ...deal, provider: 1 })],
        ['badDeal', proposal({ ...deal, piece: { ...deal.piece, payload: 0 } })],
        ['badDeal', proposal({ ...deal, pricePerEpoch: 0n })],
        ['badDeal', proposal({ ...deal, endEpoch: deal.startEpoch + 1 })],
        ['badStart', proposal({ ...deal, startEpoch: EPOCH })],
        ['badStart', proposal({ ...deal, startEpoch: EPOCH + 50 })],
        ['priceTooLow', proposal({ ...deal, piece: { ...deal.piece, payload: 2 ** 29 } })],
        ['notCovered', proposal({ ...deal, pricePerEpoch: 10n ** 20n })],
        ['notCovered', proposal({ ...deal, client: clientKey(7) }, clientSecret(7))],
        ['badSignature', proposal(deal, clientSecret(2))],
        ['volumeFull', proposal({ ...deal, piece: large })],
        ['badLength', new Uint8Array(5)],
        ['badLength', new Uint8Array(Proposal.maxSize - 1)],
      ]
      for (const [code, request] of cases) {
        await assert.rejects(propose(request), { code }, code)
      }
      assert.deepEqual(world.node(0).pieces.list(), [])
      assert.ok(await propose(proposal(deal)))
    })
  })
})
