import { strict as assert } from 'node:assert'
import {
  Agreement,
  type Entry,
  PLACING_MAX,
  Proposal,
  PULLS_MAX,
  PULLS_PER_PEER,
  priceOf,
  pullRange,
  Spool,
  type StoreOptions,
  servePieces,
} from '@cairn/node'
import {
  CairnError,
  type Deal,
  Deal as DealType,
  dealId,
  dealSigningRoot,
  decode,
  type Envelope,
  ed25519,
  encodeLink,
  FileManifest,
  type FileMap,
  groupId,
  hashPiece,
  hex,
  manifestGroupId,
  maskKey,
  type Piece,
  parseLink,
  plainVerifier,
  RANGE_BYTES,
  SHARD_BYTES,
  sealedLength,
  storageKind,
} from '@cairn/protocol'
import { MemoryPieces } from '@cairn/testnet'
import fc from 'fast-check'
import { clientKey, clientSecret } from '../../../protocol/test/kinds/storage/world.ts'
import { dealOf, EPOCH, pattern, peerName, stream, World, type WorldInit } from './world.ts'

/** Shards of a segment are this long, and a group has so many segments: 2 of 4 make 4,000 bytes. */
const SHARD = 1_000
const SEGMENTS = 2
const TWO_OF_FOUR = { data: 2, total: 4 }
/** Three groups, of which the last is not full. */
const file = pattern(10_000, 9)
const options = (change: Partial<StoreOptions> = {}): StoreOptions => ({
  shape: TWO_OF_FOUR,
  shardBytes: SHARD,
  segmentsPerGroup: SEGMENTS,
  pricePerGiB: 1_000n,
  signal: new AbortController().signal,
  ...change,
})
const pieceAt = ({ groups }: FileMap, group: number, place: number): Piece => {
  const piece = groups[group]?.[place]
  assert.ok(piece)
  return piece
}
const one = (bytes: Uint8Array, name = 'a file'): Entry[] => [{ name, bytes: stream(bytes) }]

describe('client', () => {
  let world: World

  async function begin(init: WorldInit = {}): Promise<World> {
    // These clients have no tab: what they fetch is free.
    world = new World({ strangerBytes: 2 ** 40, ...init })
    await world.start()
    return world
  }

  afterEach(() => world.stop())

  const dealsIn = (envelopes: readonly Envelope[]) =>
    envelopes.map(({ body }) => decode(DealType, body))

  type TestClient = Awaited<ReturnType<World['client']>>['client']

  const put = (client: TestClient, bytes = file, change: Partial<StoreOptions> = {}) =>
    world.run(client.put(one(bytes), options(change)))

  async function collect(
    client: TestClient,
    link: string,
    range: { first?: number; end?: number } = {},
  ) {
    const { signal } = new AbortController()
    const parts: Uint8Array[] = []
    const run = async () => {
      const opened = await client.open(link, { ...range, signal })
      for await (const part of opened.stream) parts.push(part)
      return opened
    }
    const { name, bytes } = await world.run(run())
    return { name, bytes, whole: Buffer.concat(parts) }
  }

  describe('put', () => {
    it('has each shard kept by another operator under a deal that both signed', async () => {
      await begin()
      const { client, deals, cache } = await world.client()
      const { map, manifest, key, files, shape } = await put(client)
      assert.deepEqual(shape, TWO_OF_FOUR)
      assert.equal(map.groups.length, 3)
      assert.equal(map.layout.sealed, sealedLength(10_000, map.layout))
      for (const pieces of map.groups) {
        const holders = pieces.map(piece => world.holders(piece))
        assert.ok(holders.every(({ length }) => length === 1))
        assert.equal(new Set(holders.flat()).size, 4)
      }
      // As many copies as shards may be lost, and one.
      assert.equal(world.holders(manifest).length, 3)
      assert.equal(deals.length, 3 * 4 + 3)
      const rule = storageKind.standing[0]
      for (const { body, signature } of deals) {
        const value = decode(DealType, body)
        const message = { id: dealId(value), value }
        assert.equal(rule?.verify(message, signature, world.base, plainVerifier), 'yes')
        assert.equal(rule?.pending(message, world.base), true)
      }
      const mask = maskKey(key)
      const places = (group: Uint8Array) =>
        dealsIn(deals)
          .filter(deal => hex(deal.group) === hex(group))
          .map(({ place }) => place)
          .sort()
      for (const group of [0, 1, 2]) assert.deepEqual(places(groupId(mask, group)), [0, 1, 2, 3])
      assert.deepEqual(places(manifestGroupId(mask)), [0, 1, 2])
      assert.equal(cache.list().length, 0)
      assert.equal(files[0]?.bytes, 10_000)
    })

    it('lets the provider publish the deal as well', async () => {
      await begin()
      const { client, deals } = await world.client()
      await put(client)
      const published = world.nodes.flatMap(node => node.published)
      const ids = (list: readonly Envelope[]) => list.map(({ body }) => hex(body)).sort()
      assert.deepEqual(ids(published), ids(deals))
    })

    it('asks for what was agreed in the options', async () => {
      await begin()
      const { client, deals } = await world.client()
      await put(client, file, { epochs: 9, pricePerGiB: 2n ** 30n })
      for (const { pricePerEpoch, piece, startEpoch, endEpoch } of dealsIn(deals)) {
        assert.equal(pricePerEpoch, BigInt(piece.payload))
        assert.equal(endEpoch - startEpoch, 9)
        assert.ok(startEpoch > EPOCH)
      }
    })

    it('shows providers nothing of the file, and no two shards alike', async () => {
      await begin()
      const { client } = await world.client()
      const { map } = await put(client, new Uint8Array(8_000).fill(7))
      const payloads: string[] = []
      for (const { pieces } of world.nodes) {
        for (const piece of pieces.list()) {
          if (piece.payload === 0) continue
          payloads.push(hex(await pieces.read(piece, 0, piece.payload)))
        }
      }
      assert.ok(payloads.every(text => !text.includes('07'.repeat(4))))
      const roots = map.groups.flat().map(({ root }) => hex(root))
      assert.equal(new Set(roots).size, roots.length)
    })

    it('chooses k of n by the operators there are, and says so', async () => {
      const cases: [operators: number, data: number, total: number][] = [
        [2, 1, 2],
        [3, 1, 3],
        [4, 2, 4],
        [8, 3, 8],
      ]
      for (const [operators, data, total] of cases) {
        await begin({ nodes: operators })
        const { client } = await world.client()
        const { signal } = new AbortController()
        const stored = await world.run(client.put(one(file), { pricePerGiB: 1_000n, signal }))
        assert.deepEqual(stored.shape, { data, total })
        await world.stop()
      }
      await begin({ nodes: 3, operator: () => 0 })
      const { client } = await world.client()
      const { signal } = new AbortController()
      const alone = client.put(one(file), { pricePerGiB: 1_000n, signal })
      await assert.rejects(world.run(alone), { code: 'tooFewProviders' })
      // Asked for, it is given.
      assert.equal((await put(client, file, { shape: { data: 1, total: 1 } })).shape.total, 1)
    })

    it('does not store with less redundancy than was asked for', async () => {
      await begin({ nodes: 6, operator: index => index % 2 })
      const { client, deals } = await world.client()
      await put(client, file, { shape: { data: 1, total: 2 } })
      for (const group of new Set(dealsIn(deals).map(deal => hex(deal.group)))) {
        const providers = dealsIn(deals).filter(deal => hex(deal.group) === group)
        assert.deepEqual(providers.map(({ provider }) => provider % 2).sort(), [0, 1])
      }
      const more = put(client, file, { shape: { data: 1, total: 3 } })
      await assert.rejects(more, { code: 'tooFewProviders' })
      for (const [data, total] of [
        [0, 2],
        [3, 2],
        [1, 257],
      ] as const) {
        await assert.rejects(put(client, file, { shape: { data, total } }), { code: 'badShape' })
      }
    })

    it('goes to others when providers are away or full, and says which', async () => {
      await begin({ nodes: 7, quota: 6_000 })
      world.network.crash(peerName(0))
      for (const index of [1, 2]) await world.node(index).pieces.put(stream(pattern(5_000, index)))
      const { client } = await world.client()
      const { map, refusals } = await put(client, file.slice(0, 3_000))
      assert.equal(new Set(map.groups.flat().flatMap(piece => world.holders(piece))).size, 4)
      for (const { provider, code, shortfall } of refusals) {
        assert.equal(code, provider === 0 ? 'unreachable' : 'volumeFull')
        if (code === 'unreachable') assert.equal(shortfall, undefined)
        else assert.ok(shortfall !== undefined && shortfall.asked > shortfall.limit)
      }
    })

    it('names what everybody answered when too few take it', async () => {
      await begin({ nodes: 5, floorPrice: 10n ** 9n })
      const { client, cache } = await world.client()
      world.network.crash(peerName(3))
      await assert.rejects(put(client, file, { pricePerGiB: 10n ** 8n }), error => {
        const { code, message } = error as { code: string; message: string }
        assert.equal(code, 'tooFewProviders')
        const one = String.raw`\d: asked \d+, least \d+`
        assert.match(message, new RegExp(`4 x priceTooLow \\(${one}; ${one}; ${one}; ${one}\\)`))
        assert.match(message, /1 x unreachable \(3\)/)
        return true
      })
      assert.equal(cache.list().length, 0)
    })

    it('pays what a provider asks, as far as it may', async () => {
      const terms = { pricePerGiB: 10n ** 8n }
      await begin({ nodes: 5, floorPrice: 10n ** 9n, pays: 10n ** 9n })
      const { client, deals } = await world.client()
      const { refusals } = await put(client, file, terms)
      assert.deepEqual(refusals, [])
      for (const { pricePerEpoch, piece } of dealsIn(deals)) {
        assert.equal(pricePerEpoch, priceOf(10n ** 9n, piece.payload))
      }
      // Those who ask for no more get what was offered.
      const before = deals.length
      await put(client, file, { pricePerGiB: 10n ** 9n + 1n })
      for (const { pricePerEpoch, piece } of dealsIn(deals.slice(before))) {
        assert.equal(pricePerEpoch, priceOf(10n ** 9n + 1n, piece.payload))
      }
      await world.stop()
      await begin({ nodes: 5, floorPrice: 10n ** 9n, pays: 10n ** 9n - 1n })
      const poor = await world.client()
      await assert.rejects(put(poor.client, file, terms), { code: 'tooFewProviders' })
      assert.equal(poor.deals.length, 0)
    })

    it('spreads each group over networks and regions as far as they reach', async () => {
      await begin({ nodes: 12 })
      const { candidates } = await world.client({}, 9)
      const network = (index: number) => `192.0.${index % 4}`
      const cells = [0x8c1f1d489a003ffn, 0x8c393360102c1ffn]
      const sited = candidates.map(({ entry, peer }) => ({
        entry: { ...entry, cell: cells[Math.floor(entry.index / 4) % 2] as bigint },
        peer,
        network: network(entry.index),
      }))
      const { client, deals } = await world.client({ candidates: () => sited })
      await put(client, file)
      const groups = Object.values(
        Object.groupBy(dealsIn(deals), ({ group }) => hex(group)),
      ) as Deal[][]
      for (const group of groups) {
        const networks = group.map(({ provider }) => network(provider))
        assert.equal(new Set(networks).size, group.length)
        const regions = group.map(({ provider }) => Math.floor(provider / 4) % 2)
        assert.equal(new Set(regions).size, 2)
      }
    })

    it('follows who refused by a neighbour, not by one of those that took a piece', async () => {
      const networkOf = (index: number) => `192.0.${index % 4}`
      for (let away = 0; away < 8; away++) {
        await begin({ nodes: 8 })
        world.network.crash(peerName(away))
        const { candidates } = await world.client({}, 9)
        const sited = candidates.map(candidate => ({
          ...candidate,
          network: networkOf(candidate.entry.index),
        }))
        const { client, deals } = await world.client({ candidates: () => sited })
        await put(client)
        for (const group of new Set(dealsIn(deals).map(deal => hex(deal.group)))) {
          const providers = dealsIn(deals).filter(deal => hex(deal.group) === group)
          const networks = providers.map(({ provider }) => networkOf(provider))
          assert.equal(new Set(networks).size, networks.length, `without node ${away}`)
        }
        await world.stop()
      }
    })

    it('calls a provider again whose connection broke once', async () => {
      await begin({ nodes: 4 })
      const { client, network } = await world.client()
      const request = network.request.bind(network)
      const broken = new Set<string>()
      network.request = async (peer, ...rest) => {
        if (broken.has(peer)) return await request(peer, ...rest)
        broken.add(peer)
        throw new CairnError('unreachable', 'the connection broke')
      }
      const { refusals } = await put(client)
      assert.deepEqual([broken.size, refusals], [4, []])
    })

    it('takes nothing for agreed that the provider did not sign', async () => {
      await begin({ nodes: 5 })
      world.network.crash(peerName(1))
      const liar = world.network.join(peerName(1))
      const serve = { maxRequestBytes: 1_000, maxResponseBytes: 100, perSecond: 100 }
      liar.serve('piece-put', serve, async () => new Uint8Array(64).fill(1))
      await liar.start()
      const { client, deals } = await world.client()
      await put(client)
      assert.ok(dealsIn(deals).every(({ provider }) => provider !== 1))
      await assert.rejects(put(client, file, { shape: { data: 1, total: 5 } }), error => {
        const { facts } = error as { facts: Record<string, unknown> }
        assert.match(String(facts.answers), /1: badSignature/)
        return true
      })
    })

    it('overtakes a provider that is slow, which then signs nothing', async () => {
      await begin({ nodes: 6 })
      // It takes what it is told to and then does nothing.
      world.network.crash(peerName(2))
      const slow = world.network.join(peerName(2))
      let asked = 0
      const serve = { maxRequestBytes: 1_000, maxResponseBytes: 100, perSecond: 100 }
      slow.serve('piece-put', serve, () => {
        asked++
        return new Promise(() => {})
      })
      await slow.start()
      const { client, deals } = await world.client()
      const { map } = await world.run(client.put(one(file), options()), 30_000)
      assert.ok(asked > 0)
      const agreed = dealsIn(deals)
      assert.equal(agreed.length, 4 * map.groups.length + 3)
      assert.ok(agreed.every(({ provider }) => provider !== 2))
      const slots = agreed.map(({ group, place }) => `${hex(group)} ${place}`)
      assert.equal(new Set(slots).size, slots.length)
    })

    it('gives the end of a piece to one of two that race for a place', async () => {
      await begin({ nodes: 2 })
      // Both pull the piece when both were asked, and then never sign.
      const asked = new Set<string>()
      const racing = Promise.withResolvers<void>()
      const whole = new Set<string>()
      const refused = new Set<string>()
      for (const peer of [0, 1].map(peerName)) {
        world.network.crash(peer)
        const network = world.network.join(peer)
        const serve = { maxRequestBytes: 1_000, maxResponseBytes: 100, perSecond: 100 }
        network.serve('piece-put', serve, async (request, from) => {
          const { piece } = decode(Proposal, request).deal
          if (asked.add(peer).size === 2) racing.resolve()
          await racing.promise
          const { signal } = new AbortController()
          const range = { piece, offset: 0, length: piece.payload }
          await pullRange({ network }, { peer: from, range, signal }).then(
            () => whole.add(peer),
            ({ code }) => refused.add(code),
          )
          return await new Promise(() => {})
        })
        await network.start()
      }
      const { client, cache } = await world.client()
      const controller = new AbortController()
      const { signal } = controller
      const storing = client.put(
        one(file.slice(0, 500)),
        options({ shape: { data: 1, total: 1 }, signal }),
      )
      const ended = assert.rejects(storing, /given up/)
      await world.clock.run({ until: world.clock.now() + 25_000 })
      controller.abort(new Error('given up'))
      await world.run(ended)
      assert.deepEqual([whole.size, [...refused]], [1, ['busy']])
      assert.equal(cache.list().length, 0)
    })

    it('gets by with one provider to spare although another takes pieces whole and never signs', async () => {
      await begin({ nodes: 5, slotMs: 60_000 })
      world.network.crash(peerName(2))
      const network = world.network.join(peerName(2))
      const serve = { maxRequestBytes: 1_000, maxResponseBytes: 100, perSecond: 100 }
      let taken = 0
      network.serve('piece-put', serve, async (request, from) => {
        const { piece } = decode(Proposal, request).deal
        const { signal } = new AbortController()
        const range = { piece, offset: 0, length: piece.payload }
        await pullRange({ network }, { peer: from, range, signal })
        taken++
        return await new Promise(() => {})
      })
      await network.start()
      const { client, deals, cache } = await world.client()
      const { refusals } = await put(client, file.slice(0, 3_000))
      assert.ok(taken > 0)
      assert.ok(dealsIn(deals).every(({ provider }) => provider !== 2))
      assert.ok(refusals.every(({ provider, code }) => provider === 2 && code === 'timeout'))
      assert.equal(cache.list().length, 0)
    })

    it('asks a provider for no more at once than it takes', async () => {
      await begin({ nodes: 4 })
      const now = new Map<string, number>()
      const most = new Map<string, number>()
      let all = 0
      let mostOfAll = 0
      const { client, network } = await world.client()
      const request = network.request.bind(network)
      network.request = async (peer, ...rest) => {
        now.set(peer, (now.get(peer) ?? 0) + 1)
        most.set(peer, Math.max(most.get(peer) ?? 0, now.get(peer) ?? 0))
        mostOfAll = Math.max(mostOfAll, ++all)
        try {
          return await request(peer, ...rest)
        } finally {
          now.set(peer, (now.get(peer) ?? 0) - 1)
          all--
        }
      }
      const puts = [1, 2, 3, 4, 5].map(seed => client.put(one(pattern(9_000, seed)), options()))
      const stored = await world.run(Promise.all(puts))
      assert.ok(stored.every(({ refusals }) => refusals.length === 0))
      assert.equal(Math.max(...most.values()), PULLS_PER_PEER)
      assert.ok(mostOfAll <= PLACING_MAX)
    })

    it('gets through although a tenth of everything is lost', async () => {
      await begin({ loss: 0.1, slotMs: 60_000 })
      const { client } = await world.client()
      const { map } = await put(client)
      for (const piece of map.groups.flat()) assert.ok(world.holders(piece).length >= 1)
    })

    it('passes on what its source throws, and leaves nothing in the spool', async () => {
      await begin()
      const { client, cache } = await world.client()
      async function* broken() {
        yield file.slice(0, 9_000)
        throw new Error('the disk is gone')
      }
      const storing = client.put([{ name: '', bytes: broken() }], options())
      await assert.rejects(world.run(storing), /the disk is gone/)
      assert.equal(cache.list().length, 0)
    })

    it('leaves nothing in the spool when it has no room for the next piece', async () => {
      await begin()
      const cache = new MemoryPieces({ quota: 9_000 })
      const { client } = await world.client({ spool: new Spool(cache) })
      await assert.rejects(put(client), { code: 'volumeFull' })
      assert.equal(cache.list().length, 0)
    })

    it('stops when its signal aborts, even while its source is silent', async () => {
      await begin()
      const { client, cache } = await world.client()
      for (const { peer } of world.nodes.slice(1)) world.network.sever(peer, 'client1')
      async function* silent() {
        yield file
        await new Promise(() => {})
      }
      for (const bytes of [stream(file), silent()]) {
        const controller = new AbortController()
        world.clock.at(world.clock.now() + 10, () => controller.abort(new Error('given up')))
        const { signal } = controller
        const storing = client.put([{ name: '', bytes }], options({ signal }))
        await assert.rejects(world.run(storing, 5_000), /given up/)
        assert.equal(cache.list().length, 0)
      }
    })
  })

  describe('pack', () => {
    const names = ['a', 'b', 'c', 'empty', 'long']
    const contents = [100, 1, 3_000, 0, 9_000].map((length, i) => pattern(length, i))

    it('keeps several files in one upload, each under its own link', async () => {
      await begin()
      const { client, deals } = await world.client()
      const entries = names.map((name, i) => ({ name, bytes: stream(contents[i] as Uint8Array) }))
      const { files, map } = await world.run(client.put(entries, options()))
      const sealed = contents.reduce((sum, { length }) => sum + sealedLength(length, map.layout), 0)
      assert.equal(map.layout.sealed, sealed)
      assert.equal(deals.length, 4 * map.groups.length + 3)
      for (const [i, { link, name, bytes }] of files.entries()) {
        const found = await collect(client, link)
        assert.equal(name, names[i])
        assert.deepEqual([found.name, found.bytes], [name, bytes])
        assert.ok(found.whole.equals(contents[i] as Uint8Array), name)
        const [first, end] = [Math.floor(bytes / 3), Math.ceil(bytes / 2)]
        const part = await collect(client, link, { first, end })
        assert.ok(part.whole.equals((contents[i] as Uint8Array).slice(first, end)), name)
      }
    })

    it('opens with a link no other file than its own', async () => {
      await begin()
      const { client } = await world.client()
      const entries = names.map((name, i) => ({ name, bytes: stream(contents[i] as Uint8Array) }))
      const { files } = await world.run(client.put(entries, options()))
      const own = parseLink(files[0]?.link as string)
      const other = encodeLink({ ...own, entry: 2 })
      await assert.rejects(collect(client, other), { code: 'wrongKey' })
      const none = encodeLink({ ...own, entry: 5 })
      await assert.rejects(collect(client, none), { code: 'badFileManifest' })
    })
  })

  describe('get', () => {
    async function stored(init: WorldInit = {}, bytes = file) {
      await begin(init)
      const { client } = await world.client()
      const stored = await put(client, bytes)
      const link = stored.files[0]?.link as string
      const reader = await world.client({}, 2)
      return { ...stored, link, ...reader }
    }

    it('gives another client the same bytes, whatever their length', async () => {
      await begin()
      const { client } = await world.client()
      const reader = await world.client({}, 2)
      const chunk = 2 * SHARD - 16
      const edges = [0, 1, 2, chunk - 1, chunk, chunk + 1, SEGMENTS * chunk, 5 * chunk + 1]
      for (const length of edges) {
        const bytes = pattern(length, length)
        const { files } = await put(client, bytes)
        const found = await collect(reader.client, files[0]?.link as string)
        assert.deepEqual([found.name, found.bytes], ['a file', length])
        assert.ok(found.whole.equals(bytes), String(length))
      }
      assert.equal(reader.cache.list().length, 0)
    })

    it('does so at every edge of chunks, segments, ranges, groups and windows', async () => {
      // Ranges are of 16 shards, groups of 20, windows of a range: all of real shards.
      const segment = SHARD_BYTES
      const chunk = SHARD_BYTES - 16
      const anyLength = fc
        .record({
          unit: fc.constantFrom(segment, chunk),
          count: fc.constantFrom(1, 2, 15, 16, 17, 19, 20, 21, 32, 36, 40, 41),
          off: fc.integer({ min: -1, max: 1 }),
        })
        .map(({ unit, count, off }) => unit * count + off)
      const check = async (length: number, from: number) => {
        // A new one each time: a stranger gets so many bytes of a provider for nothing, and no more.
        await begin({ slotMs: 60_000, terms: { largestPiece: 2 ** 24 } })
        const { client } = await world.client()
        const bytes = pattern(length, length)
        const options = {
          shape: { data: 1, total: 2 },
          shardBytes: SHARD_BYTES,
          segmentsPerGroup: 20,
        }
        const link = (await put(client, bytes, options)).files[0]?.link as string
        assert.ok((await collect(client, link)).whole.equals(bytes))
        const first = from % length
        const end = Math.min(length, first + RANGE_BYTES + 1)
        const part = await collect(client, link, { first, end })
        assert.ok(part.whole.equals(bytes.subarray(first, end)))
        await world.stop()
      }
      await fc.assert(fc.asyncProperty(anyLength, fc.nat(), check), { numRuns: 12 })
    })

    it('does so for any k of n and any shards', async () => {
      interface Form {
        length: number
        data: number
        more: number
        shardBytes: number
        segmentsPerGroup: number
      }
      const any: fc.Arbitrary<Form> = fc.record({
        length: fc.nat({ max: 6_000 }),
        data: fc.integer({ min: 1, max: 5 }),
        more: fc.nat({ max: 3 }),
        shardBytes: fc.integer({ min: 32, max: 700 }),
        segmentsPerGroup: fc.integer({ min: 1, max: 4 }),
      })
      await begin({ slotMs: 60_000 })
      const { client } = await world.client()
      const check = async ({ length, data, more, ...rest }: Form) => {
        const bytes = pattern(length, length)
        const { files } = await put(client, bytes, { shape: { data, total: data + more }, ...rest })
        assert.ok((await collect(client, files[0]?.link as string)).whole.equals(bytes))
      }
      await fc.assert(fc.asyncProperty(any, check), { numRuns: 40 })
    })

    it('gives any range of the bytes', async () => {
      const { client, link } = await stored()
      const ranges = [
        [0, 10_000],
        [0, 1],
        [9_999, 10_000],
        [1_983, 1_985],
        [3_968, 3_968],
        [4_321, 9_000],
        [10_000, 10_000],
      ] as const
      for (const [first, end] of ranges) {
        const { whole, bytes } = await collect(client, link, { first, end })
        assert.ok(whole.equals(file.slice(first, end)), `${first}-${end}`)
        assert.equal(bytes, 10_000)
      }
      assert.ok(
        (await collect(client, link, { first: 9_000, end: 20_000 })).whole.equals(
          file.slice(9_000),
        ),
      )
      await assert.rejects(collect(client, link, { first: 10_001 }), { code: 'badRange' })
    })

    it('gets by without any n - k providers of a group, gone, lying or emptied', async () => {
      const { client, link, map } = await stored({ nodes: 4 })
      const keeperOf = (group: number, place: number) => {
        const [peer] = world.holders(pieceAt(map, group, place))
        return world.nodes.find(node => node.peer === peer)
      }
      // In the first group places 0 and 1 lie, in the second 1 and 2 have lost theirs.
      for (const place of [0, 1]) {
        keeperOf(0, place)?.pieces.damage(pieceAt(map, 0, place), 1_500)
      }
      for (const place of [1, 2]) {
        const node = keeperOf(1, place)
        await node?.pieces.delete(pieceAt(map, 1, place))
      }
      assert.ok((await collect(client, link)).whole.equals(file))
    })

    it('survives n - k providers that vanish in the middle', async () => {
      const { client, link } = await stored({ nodes: 4 })
      const { signal } = new AbortController()
      const parts: Uint8Array[] = []
      const run = async () => {
        const { stream: bytes } = await client.open(link, { signal })
        for await (const part of bytes) {
          parts.push(part)
          for (const index of [1, 3]) world.network.sever(peerName(index), 'client2')
        }
      }
      await world.run(run())
      assert.ok(Buffer.concat(parts).equals(file))
    })

    it('overtakes n - k providers that stall', async () => {
      const { link, map } = await stored({ nodes: 4 })
      const stalling = new Set([0, 1].flatMap(place => world.holders(pieceAt(map, 0, place))))
      assert.equal(stalling.size, 2)
      const network = world.network.join('patient')
      await network.start()
      const { client } = await world.client(
        {
          range: async (peer, range, signal) =>
            stalling.has(peer)
              ? await new Promise((_, reject) => {
                  signal.addEventListener('abort', () => reject(signal.reason))
                })
              : await pullRange({ network }, { peer, range, signal }),
        },
        3,
      )
      const began = world.clock.now()
      assert.ok((await collect(client, link)).whole.equals(file))
      assert.ok(world.clock.now() - began < 15_000, 'nobody was waited for to the end')
    })

    it('says what everybody answered when more are gone', async () => {
      const { client, link } = await stored({ nodes: 4 })
      for (const index of [0, 1, 2]) world.network.sever(peerName(index), 'client2')
      await assert.rejects(collect(client, link), error => {
        const { code, facts } = error as { code: string; facts: Record<string, unknown> }
        assert.equal(code, 'fileUnavailable')
        assert.match(String(facts.answers), /peer\d: unreachable/)
        return true
      })
    })

    it('waits for a provider that comes back', async () => {
      const { client, link } = await stored({ nodes: 4 })
      for (const index of [0, 1, 2]) world.network.sever(peerName(index), 'client2')
      world.clock.at(world.clock.now() + 500, () => world.network.heal())
      assert.ok((await collect(client, link)).whole.equals(file))
    })

    it('says so when the link leads to something else', async () => {
      const { client, map, link } = await stored()
      const own = parseLink(link)
      const first = pieceAt(map, 0, 0)
      await assert.rejects(collect(client, encodeLink({ ...own, manifest: first })), {
        code: /badFileManifest|newerFileManifest/,
      })
      const { piece } = hashPiece(file)
      await assert.rejects(collect(client, encodeLink({ ...own, manifest: piece })), {
        code: 'fileUnavailable',
      })
      const huge = { ...piece, payload: FileManifest.maxSize + 1 }
      await assert.rejects(collect(client, encodeLink({ ...own, manifest: huge })), {
        code: 'badFileManifest',
      })
      const key = own.key.slice()
      key[0] = (key[0] as number) ^ 1
      await assert.rejects(collect(client, encodeLink({ ...own, key })), { code: 'wrongKey' })
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
      const network = world.network.join(`proposer${counter++}`)
      const pieces = new MemoryPieces()
      servePieces(network, [pieces])
      await network.start()
      if (held !== undefined) await pieces.put(stream(held))
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
