import { strict as assert } from 'node:assert'
import {
  agree,
  askTerms,
  Clients,
  DEAL_END_PROTOCOL,
  type DealKeys,
  ENDING_MAX,
  EndRequest,
  isShort,
  type Network,
  RENEWING_MAX,
  renewAhead,
  SHORT_FACTOR,
  shortfallOf,
  shortfallText,
} from '@cairn/node'
import {
  Deal,
  DealEnd,
  dealEndSigningRoot,
  dealId,
  decode,
  type Envelope,
  ed25519,
  hex,
  type Kind,
  MessageType,
  messageId,
  PIECE_PAYLOAD_MAX,
  plainVerifier,
  rulebook,
  storageKind,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import {
  clientKey,
  clientSecret,
  deposit,
  nodeSecret,
  pieceOf,
} from '../../../protocol/test/kinds/storage/world.ts'
import { dealOf, EPOCH, over, pattern, peerName, stream, World, type WorldInit } from './world.ts'

/** The node whose deal key is that of client 1. */
const CLIENT = 6
const BOOK = rulebook([storageKind as unknown as Kind<unknown>])
const { minDealEpochs } = TESTNET_PROFILE
const AHEAD = renewAhead(TESTNET_PROFILE)

const ownKey = {
  key: clientKey(1),
  sign: (root: Uint8Array) => ed25519.sign(root, clientSecret(1)),
}
const keys = (index: number): DealKeys => {
  if (index !== CLIENT) return { all: () => [], of: () => undefined }
  return { all: () => [ownKey], of: key => (hex(key) === hex(ownKey.key) ? ownKey : undefined) }
}

const payload = pattern(3_000, 5)
const piece = pieceOf(3_000, 5)
const ending = (change: Partial<Deal> = {}): Deal =>
  dealOf({ piece, startEpoch: EPOCH - 20, endEpoch: EPOCH + 2, pricePerEpoch: 100n, ...change })

describe('deals of a node', () => {
  let world: World

  async function begin(init: WorldInit = {}): Promise<World> {
    world = new World({ keys, ...init })
    for (const { provider } of init.deals ?? []) await keep(provider)
    await world.start()
    return world
  }

  const keep = (index: number) => world.node(index).pieces.put(stream(payload), { expected: piece })

  afterEach(() => world.stop())

  /** What a node published and everybody accepts as it is said to be. */
  function said(index: number, type: MessageType): Envelope[] {
    const envelopes = world.node(index).published.filter(envelope => envelope.type === type)
    for (const { body, signature } of envelopes) {
      const rule = BOOK.standing(type)?.rule
      const message = { id: messageId({ type, body }), value: rule && decode(rule.codec, body) }
      assert.equal(rule?.verify(message, signature, world.base, plainVerifier), 'yes')
    }
    return envelopes
  }

  const dealsOf = (index: number) =>
    said(index, MessageType.deal).map(({ body }) => decode(Deal, body))
  const endsOf = (index: number) =>
    said(index, MessageType.dealEnd).map(({ body }) => hex(decode(DealEnd, body).deal))
  const next = (deals: readonly Deal[], plus = 0) => world.toEpoch(EPOCH + plus, deals)
  const settle = () => world.clock.run({ until: world.clock.now() + 2_000 })

  describe('are renewed', () => {
    it('with the same provider, piece and place, from the old end on, without a transfer', async () => {
      const asked: string[] = []
      const old = ending()
      await begin({ deals: [old], wrapNetwork: noting(asked) })
      await next([old])
      await settle()
      const expected = { ...old, startEpoch: old.endEpoch, endEpoch: old.endEpoch + 22 }
      assert.deepEqual(dealsOf(CLIENT), [expected])
      assert.deepEqual(dealsOf(0), [expected])
      assert.deepEqual(asked, [`${CLIENT} piece-put`])
      assert.equal(world.node(CLIENT).half.prospectOf(old).renewal, 'agreed')
    })

    it('once, whatever restarts in between', async () => {
      const old = ending()
      await begin({ deals: [old] })
      await next([old])
      await settle()
      await world.restart(CLIENT)
      await world.restart(0)
      await next([old])
      await settle()
      const [again] = dealsOf(CLIENT)
      assert.deepEqual(again, { ...old, startEpoch: old.endEpoch, endEpoch: old.endEpoch + 22 })
      assert.equal(world.waiting.all().length, 1)
    })

    it('as they were proposed before a restart, though a new proposal would differ', async () => {
      const old = ending()
      const asked: string[] = []
      let cut = true
      const wrapNetwork = (network: Network, index: number): Network =>
        index === CLIENT ? lossy(network, () => cut) : noting(asked)(network, index)
      await begin({ deals: [old], wrapNetwork, terms: { pricePerGiB: 2n ** 30n / 10n } })
      await next([old])
      await settle()
      assert.deepEqual(dealsOf(CLIENT), [])
      const [signed] = dealsOf(0)
      assert.equal(signed?.pricePerEpoch, 300n)
      cut = false
      await world.restart(CLIENT)
      await next([old])
      await settle()
      assert.deepEqual(dealsOf(CLIENT), [signed])
    })

    it('not before it is time, nor when the place goes on already', async () => {
      const far = ending({ nonce: 1n, endEpoch: EPOCH + AHEAD + 1, place: 1 })
      const near = ending({ nonce: 2n, place: 2 })
      const follower = ending({
        nonce: 3n,
        place: 2,
        provider: 1,
        startEpoch: EPOCH + 2,
        endEpoch: EPOCH + 90,
      })
      const foreign = ending({ client: clientKey(2) })
      const deals = [far, near, follower, foreign]
      await begin({ deals })
      await next(deals)
      await settle()
      assert.deepEqual(dealsOf(CLIENT), [])
      await next([far], 1)
      await settle()
      assert.equal(dealsOf(CLIENT).length, 1)
    })

    it('again only when no base shows the successor in time', async () => {
      const old = ending({ endEpoch: EPOCH + AHEAD })
      const asked: string[] = []
      await begin({ deals: [old], wrapNetwork: noting(asked) })
      for (let plus = 0; plus < AHEAD; plus++) {
        await next([old], plus)
        await settle()
      }
      assert.deepEqual(
        asked.filter(what => what.endsWith('piece-put')),
        [`${CLIENT} piece-put`],
      )
      assert.equal(dealsOf(CLIENT).length, 1)
    })

    it('not while the provider owes an answer, or sealed a wrong leaf', async () => {
      const owing = ending({ nonce: 1n })
      const wrong = ending({ nonce: 2n, place: 1 })
      const unasked = ending({ nonce: 3n, place: 2 })
      const debt = { leaf: 0, since: EPOCH - 5, asked: EPOCH - 1 }
      await begin({ deals: [owing, wrong, unasked] })
      await world.toEpoch(EPOCH, [owing, wrong, unasked], {
        debts: [
          { ...debt, deal: dealId(owing), again: EPOCH - 2 },
          { ...debt, deal: dealId(unasked), again: 0 },
        ],
        contained: [{ deal: dealId(wrong), since: EPOCH - 5 }],
      })
      await settle()
      assert.deepEqual(
        dealsOf(CLIENT).map(({ place }) => place),
        [2],
      )
      const { half } = world.node(CLIENT)
      assert.equal(half.prospectOf(owing).renewal, 'owesAnswer')
      assert.equal(half.prospectOf(owing).owed, EPOCH - 5)
      assert.equal(
        half.prospectOf(owing).lostFrom,
        EPOCH - 2 + world.base.profile.repairAfterEpochs,
      )
      assert.equal(half.prospectOf(owing).withheld, true)
      assert.equal(half.prospectOf(wrong).renewal, 'contained')
      assert.equal(half.prospectOf(wrong).contained, true)
    })

    it('at the provider’s new price while the client pays it', async () => {
      const old = ending()
      await begin({ deals: [old], terms: { pricePerGiB: 2n ** 30n / 10n } })
      await next([old])
      await settle()
      assert.equal(dealsOf(CLIENT)[0]?.pricePerEpoch, 300n)
      assert.equal(dealsOf(0)[0]?.pricePerEpoch, 300n)
    })

    it('not when that is more than the client pays, and says so', async () => {
      const old = ending()
      const terms = { pricePerGiB: 2n ** 30n / 10n }
      await begin({ deals: [old], terms, maxPrice: terms.pricePerGiB - 2n ** 20n })
      await next([old])
      await settle()
      assert.deepEqual(dealsOf(CLIENT), [])
      const { half } = world.node(CLIENT)
      assert.equal(half.prospectOf(old).renewal, 'tooDear')
      const [due] = half.outlook().client?.ending ?? []
      assert.deepEqual(due?.renewal, { state: 'refused', reason: 'tooDear', epoch: EPOCH })
      assert.equal(due?.endsIn, 2)
      const lines = world.lines.filter(({ text }) => /could not be renewed/.test(text))
      assert.equal(lines.length, 1)
    })

    it('for as long as the provider agrees to, and not for less than a deal may last', async () => {
      const old = ending()
      await begin({ deals: [old], terms: { longestDeal: 5 } })
      await next([old])
      await settle()
      assert.equal(dealsOf(CLIENT)[0]?.endEpoch, old.endEpoch + 5)
      await world.stop()
      await begin({ deals: [old], terms: { longestDeal: minDealEpochs - 1 } })
      await next([old])
      await settle()
      assert.equal(world.node(CLIENT).half.prospectOf(old).renewal, 'dealTooLong')
    })

    it('not while the deposit does not pay for it', async () => {
      const old = ending()
      const needed = BigInt(minDealEpochs + 2) * 100n
      await begin({ deals: [old], deposits: [deposit(1, needed - 1n)] })
      await next([old])
      await settle()
      assert.equal(world.node(CLIENT).half.prospectOf(old).renewal, 'notCovered')
      await world.stop()
      await begin({ deals: [old], deposits: [deposit(1, needed)] })
      await next([old])
      await settle()
      assert.equal(world.node(CLIENT).half.prospectOf(old).renewal, 'agreed')
    })

    it('a few at once', async () => {
      let underWay = 0
      let most = 0
      const deals = Array.from({ length: 3 * RENEWING_MAX + 1 }, (_, n) =>
        ending({ nonce: BigInt(n), place: n, provider: n % 5 }),
      )
      const wrapNetwork = (network: Network, index: number): Network =>
        index !== CLIENT
          ? network
          : over(network, async (...args) => {
              most = Math.max(most, ++underWay)
              return await network.request(...args).finally(() => underWay--)
            })
      await begin({ deals, wrapNetwork })
      await next(deals)
      await settle()
      assert.equal(dealsOf(CLIENT).length, deals.length)
      assert.equal(most, RENEWING_MAX)
    })
  })

  describe('that their client wants no more', () => {
    const group = new Uint8Array(32).fill(7)
    const unwanted = dealOf({ piece, startEpoch: EPOCH - 1, group })
    const beside = dealOf({ piece, startEpoch: EPOCH - 1, group, place: 1, provider: 1 })
    const other = dealOf({ piece, startEpoch: EPOCH - 1, place: 2, provider: 2 })
    const ids = (...deals: Deal[]) => deals.map(deal => hex(dealId(deal))).sort()
    const drop = (index: number, ...groups: Uint8Array[]) =>
      world.run(world.node(index).half.unwanted.drop(groups))

    it('end, those of the group alone, and what has not begun as soon as it has', async () => {
      const coming = dealOf({ piece, startEpoch: EPOCH + 1, group, place: 3, provider: 3 })
      await begin({ deals: [unwanted, beside, other, coming] })
      await drop(CLIENT, group)
      await settle()
      assert.deepEqual(endsOf(CLIENT).sort(), ids(unwanted, beside))
      await next([unwanted, beside, other, coming], 1)
      await settle()
      assert.deepEqual([...new Set(endsOf(CLIENT))].sort(), ids(unwanted, beside, coming))
      assert.deepEqual(endsOf(2), [])
    })

    it('end once their provider is back, over restarts', async () => {
      await begin({ deals: [unwanted] })
      await world.node(0).network.stop()
      await drop(CLIENT, group)
      await settle()
      assert.deepEqual(endsOf(CLIENT), [])
      await world.node(0).network.start()
      await world.restart(CLIENT)
      await next([unwanted], 1)
      await settle()
      assert.deepEqual(endsOf(CLIENT), ids(unwanted))
    })

    it('are not renewed', async () => {
      const old = ending({ group, startEpoch: EPOCH - 20, provider: 0 })
      await begin({ deals: [old] })
      await world.node(0).network.stop()
      await drop(CLIENT, group)
      await world.node(0).network.start()
      await next([old], 1)
      await settle()
      assert.deepEqual(dealsOf(CLIENT), [])
      assert.deepEqual([...new Set(endsOf(CLIENT))], ids(old))
    })

    it('are forgotten when none is left and none can come to light any more', async () => {
      await begin({ deals: [unwanted] })
      await drop(CLIENT, group)
      const has = () => world.node(CLIENT).half.unwanted.has(group)
      await next([], 1)
      await settle()
      assert.equal(has(), true, 'one may have been signed just before')
      await next([], 20)
      await settle()
      assert.equal(has(), false)
      await world.restart(CLIENT)
      assert.equal(has(), false)
    })

    it('are not forgotten while checkpoints wait, one of which may bring one to light', async () => {
      await begin({ deals: [] })
      await drop(CLIENT, group)
      world.settled = EPOCH
      await next([], 20)
      await settle()
      await next([unwanted], 21)
      await settle()
      assert.deepEqual(endsOf(CLIENT), ids(unwanted))
    })

    it('are known after a crash in the middle of an upload', async () => {
      await begin({ deals: [unwanted, other] })
      const stored = new Uint8Array(32).fill(8)
      const { half } = world.node(CLIENT)
      await half.unwanted.storing(group)
      await half.unwanted.storing(stored)
      await half.unwanted.keep([stored])
      assert.deepEqual(half.unwanted.cutOff, [])
      await world.restart(CLIENT)
      const again = world.node(CLIENT).half.unwanted
      assert.deepEqual(again.cutOff, [group])
      assert.equal(again.has(group), false)
      await drop(CLIENT, ...again.cutOff)
      await settle()
      assert.deepEqual(endsOf(CLIENT), ids(unwanted))
      assert.deepEqual(again.cutOff, [])
    })

    it('end a few at once', async () => {
      let now = 0
      let most = 0
      const deals = Array.from({ length: 12 }, (_, n) =>
        dealOf({
          piece,
          startEpoch: EPOCH - 1,
          group,
          place: n,
          provider: n % 5,
          nonce: BigInt(n),
        }),
      )
      const wrapNetwork = (network: Network, index: number): Network =>
        index !== CLIENT
          ? network
          : over(network, async (...args) => {
              most = Math.max(most, ++now)
              return await network.request(...args).finally(() => now--)
            })
      await begin({ deals, wrapNetwork })
      await drop(CLIENT, group)
      await settle()
      assert.equal(endsOf(CLIENT).length, deals.length)
      assert.equal(most, ENDING_MAX)
    })
  })

  describe('end by agreement', () => {
    const live = dealOf({ piece, startEpoch: EPOCH - 1 })
    const id = dealId(live)

    it('when the client asks its provider', async () => {
      await begin({ deals: [live] })
      await world.run(world.node(CLIENT).half.end(id))
      assert.deepEqual(endsOf(CLIENT), [hex(id)])
      assert.deepEqual(endsOf(0), [hex(id)])
      for (const index of [0, CLIENT]) {
        assert.equal(world.node(index).half.prospectOf(live).ending, true)
      }
      await world.run(world.node(CLIENT).half.end(id))
      assert.equal(endsOf(CLIENT).length, 1, 'what is agreed is not asked again')
    })

    it('when a provider asks, only where the client’s operator set so', async () => {
      await begin({ deals: [live] })
      await proposedBy(CLIENT)
      await assert.rejects(world.run(world.node(0).half.end(id)), { code: 'endRefused' })
      assert.deepEqual(endsOf(CLIENT), [])
      await world.stop()
      await begin({ deals: [live], releaseProviders: true })
      await proposedBy(CLIENT)
      await world.run(world.node(0).half.end(id))
      assert.deepEqual(endsOf(CLIENT), [hex(id)])
      assert.deepEqual(endsOf(0), [hex(id)])
    })

    it('not when the provider does not know where the client is', async () => {
      await begin({ deals: [live], releaseProviders: true })
      await assert.rejects(world.run(world.node(0).half.end(id)), { code: 'unknownPeer' })
    })

    it('between their parties alone', async () => {
      const coming = dealOf({ piece, startEpoch: EPOCH + 1, nonce: 5n })
      await begin({ deals: [live, coming] })
      const end = (index: number, deal: Uint8Array) => world.run(world.node(index).half.end(deal))
      await assert.rejects(end(3, id), { code: 'notParty' })
      await assert.rejects(end(CLIENT, new Uint8Array(32)), { code: 'unknownDeal' })
      await assert.rejects(end(CLIENT, dealId(coming)), { code: 'notBegun' })
      const ask = (deal: Uint8Array, secret: Uint8Array) => {
        const root = dealEndSigningRoot({ deal }, world.base.network)
        const request = EndRequest.serialize({ deal, signature: ed25519.sign(root, secret) })
        const { signal } = new AbortController()
        const options = { signal, maxResponseBytes: 64 }
        return world.run(
          world.node(3).network.request(peerName(0), DEAL_END_PROTOCOL, request, options),
        )
      }
      await assert.rejects(ask(id, nodeSecret(3)), { code: 'badSignature' })
      await assert.rejects(ask(dealId(coming), clientSecret(1)), { code: 'notBegun' })
      await assert.rejects(ask(new Uint8Array(32), clientSecret(1)), { code: 'unknownDeal' })
      assert.equal((await ask(id, clientSecret(1))).length, 64, 'whoever brings the client’s wish')
    })

    it('and are published until no base carries them, over restarts', async () => {
      await begin({ deals: [live] })
      await world.run(world.node(CLIENT).half.end(id))
      await world.restart(CLIENT)
      assert.equal(world.node(CLIENT).half.prospectOf(live).ending, true)
      await next([live], 1)
      await settle()
      assert.deepEqual(endsOf(CLIENT), [hex(id)])
      await next([], 2)
      await settle()
      assert.equal(world.node(CLIENT).half.prospectOf(live).ending, false)
      await next([], 3)
      await settle()
      assert.equal(world.node(CLIENT).published.length, 1)
    })

    it('and are not renewed then', async () => {
      const old = ending()
      await begin({ deals: [old] })
      await world.run(world.node(CLIENT).half.end(dealId(old)))
      await next([old])
      await settle()
      assert.deepEqual(dealsOf(CLIENT), [])
    })

    /** Has a node propose the deal once more, as it did when it was made. */
    async function proposedBy(index: number): Promise<void> {
      const { network } = world.node(index)
      const entry = world.base.node(live.provider)
      assert.ok(entry)
      await world.toEpoch(EPOCH, [])
      const coming = { ...live, startEpoch: EPOCH + 1 }
      const { signal } = new AbortController()
      const agreeing = agree(
        { clock: world.clock, network, verifier: plainVerifier },
        {
          deal: coming,
          key: ownKey,
          provider: { entry, peer: peerName(live.provider) },
          id: world.base.network,
          signal,
        },
      )
      await world.run(agreeing)
      await world
        .node(0)
        .store.sublevel('storage-clients')
        .batch([{ key: clientName(live), value: new TextEncoder().encode(peerName(index)) }])
      await world.toEpoch(EPOCH, [live])
    }
  })

  describe('are made on the provider’s terms', () => {
    const propose = (change: Partial<Deal> = {}, key = ownKey) => world.run(asking(change, key))

    function asking(change: Partial<Deal>, key = ownKey) {
      const deal = dealOf({ piece, startEpoch: EPOCH + 2, ...change })
      const entry = world.base.node(0)
      assert.ok(entry)
      return agree(
        { clock: world.clock, network: world.node(CLIENT).network, verifier: plainVerifier },
        {
          deal,
          key,
          provider: { entry, peer: peerName(0) },
          id: world.base.network,
          signal: new AbortController().signal,
        },
      )
    }

    it('which it tells whoever asks', async () => {
      const terms = { pricePerGiB: 7n, longestDeal: 90, largestPiece: 10_000 }
      await begin({ terms, quota: 50_000 })
      await keep(0)
      const { signal } = new AbortController()
      const told = await world.run(askTerms(world.node(5).network, peerName(0), signal))
      const { used } = world.node(0).pieces.usage()
      assert.deepEqual(told, { ...terms, free: BigInt(50_000 - used) })
    })

    it('and refused with a code for each', async () => {
      const pricePerGiB = 2n ** 30n
      await begin({ terms: { pricePerGiB, longestDeal: 90, largestPiece: 3_000 } })
      await keep(0)
      await assert.rejects(propose({ pricePerEpoch: 2_999n }), { code: 'priceTooLow' })
      await assert.rejects(propose({ pricePerEpoch: 3_000n, endEpoch: EPOCH + 93 }), {
        code: 'dealTooLong',
      })
      const larger = pieceOf(3_001)
      await assert.rejects(
        propose({ pricePerEpoch: 3_001n, endEpoch: EPOCH + 92, piece: larger }),
        {
          code: 'pieceTooLarge',
        },
      )
      await propose({ pricePerEpoch: 3_000n, endEpoch: EPOCH + 92 })
    })

    it('for a delegate of its client too, as long as it is one', async () => {
      const kept = dealOf({ piece, startEpoch: 1, place: 3, provider: 1 })
      const delegations = [{ client: kept.client, group: kept.group, delegates: [5], sequence: 1 }]
      let named = delegations
      await begin({ deals: [kept], state: () => ({ delegations: named }) })
      await keep(0)
      const sign = (root: Uint8Array) => ed25519.sign(root, nodeSecret(5))
      const delegate = { key: kept.client, sign }
      await propose({}, delegate)
      named = []
      await world.toEpoch(EPOCH + 1, [kept])
      await assert.rejects(propose({ startEpoch: EPOCH + 3 }, delegate), { code: 'badSignature' })
    })

    it('by as much as whoever was refused can tell from them', async () => {
      const terms = { pricePerGiB: 2n ** 30n, longestDeal: 90, largestPiece: 2_000, free: 500n }
      const deal = dealOf({ piece, pricePerEpoch: 9n, startEpoch: 2, endEpoch: 100 })
      const { payload } = piece
      for (const [code, asked, limit, text] of [
        ['priceTooLow', 9n, BigInt(payload), `asked 9, least ${payload}`],
        ['dealTooLong', 98n, 90n, 'asked 98, most 90'],
        ['pieceTooLarge', BigInt(payload), 2_000n, `asked ${payload}, most 2000`],
        ['volumeFull', BigInt(payload), 500n, `asked ${payload}, most 500`],
      ] as const) {
        const found = shortfallOf(code, deal, terms)
        assert.deepEqual(found, { asked, limit })
        assert.equal(shortfallText(code, found), text)
      }
      assert.equal(shortfallOf('busy', deal, terms), undefined)
    })

    it('with the numbers in the refusal’s facts where they are known', async () => {
      await begin()
      const { checkTerms } = await import('@cairn/node')
      const terms = { pricePerGiB: 2n ** 30n, longestDeal: 90, largestPiece: PIECE_PAYLOAD_MAX }
      const refused = (change: Partial<Deal>) => {
        try {
          checkTerms(dealOf({ piece, ...change }), terms)
          return undefined
        } catch (error) {
          return (error as { facts: object }).facts
        }
      }
      assert.deepEqual(refused({ pricePerEpoch: 9n }), {
        pricePerEpoch: 9n,
        least: 3_000n,
        pricePerGiB: 2n ** 30n,
      })
      assert.deepEqual(refused({ pricePerEpoch: 3_000n }), { epochs: 100, longestDeal: 90 })
    })

    it('and not beside others that wait, when the deposit pays for those alone', async () => {
      const amount = BigInt(minDealEpochs) * 100n
      await begin({ deposits: [deposit(1, amount)] })
      await keep(0)
      await propose({ nonce: 1n })
      await assert.rejects(propose({ nonce: 2n, pricePerEpoch: 1n }), { code: 'notCovered' })
      await propose({ nonce: 1n })
    })

    it('and not beside others whose pieces came in the meantime', async () => {
      const amount = BigInt(minDealEpochs) * 100n
      await begin({ deposits: [deposit(1, amount)] })
      await keep(CLIENT)
      const both = [asking({ nonce: 1n }), asking({ nonce: 2n })]
      const codes = (await world.run(Promise.allSettled(both))).map(answer =>
        answer.status === 'fulfilled' ? 'signed' : answer.reason.code,
      )
      assert.deepEqual(codes.sort(), ['notCovered', 'signed'])
    })
  })

  describe('have an outlook', () => {
    it('of what the deposit pays', async () => {
      const deals = [1n, 2n].map(nonce =>
        dealOf({ piece, nonce, startEpoch: 1, place: Number(nonce) }),
      )
      await begin({ deals, deposits: [deposit(1, 1_999n)] })
      const { client, provider } = world.node(CLIENT).half.outlook()
      assert.deepEqual(client, {
        deals: 2,
        pricePerEpoch: 200n,
        available: 1_999n,
        lasts: 9,
        ending: [],
        owed: 0,
        withheld: 0,
        contained: 0,
        failedAudits: 0,
      })
      assert.equal(provider, undefined)
      assert.deepEqual(world.node(0).half.outlook(), {
        provider: { deals: 2, short: 2, shortPerEpoch: 200n, lasts: 9 },
      })
      assert.deepEqual(world.node(3).half.outlook(), {})
      assert.equal(isShort(SHORT_FACTOR * minDealEpochs, TESTNET_PROFILE), false)
      assert.equal(isShort(SHORT_FACTOR * minDealEpochs - 1, TESTNET_PROFILE), true)
      assert.equal(isShort(undefined, TESTNET_PROFILE), false)
    })

    it('that is warned of when it is short, and again at half of it', async () => {
      const old = dealOf({ piece, startEpoch: 1 })
      const deposits = [deposit(1, 1_000n)]
      await begin({ deals: [old], deposits })
      const warnings = () => world.lines.filter(({ text }) => /^the deposit pays for/.test(text))
      await next([old])
      await next([old], 1)
      assert.equal(warnings().length, 1)
      assert.match(warnings()[0]?.text ?? '', /10 more epochs/)
      deposits[0] = deposit(1, 500n)
      await next([old], 2)
      assert.equal(warnings().length, 2)
      deposits[0] = deposit(1, 100_000n)
      await next([old], 3)
      assert.equal(warnings().length, 2)
    })
  })

  describe('are remembered with the peer that proposed them', () => {
    it('first, until they are over', async () => {
      await begin()
      const clients = new Clients({ store: new MemoryStore() })
      const of = (endEpoch: number) => ({ deal: new Uint8Array(32).fill(endEpoch), endEpoch })
      await clients.remember(of(5), 'a')
      await clients.remember(of(5), 'b')
      await clients.remember(of(6), 'c')
      assert.equal(await clients.peerOf(of(5)), 'a')
      await clients.forget(6)
      assert.equal(await clients.peerOf(of(5)), undefined)
      assert.equal(await clients.peerOf(of(6)), 'c')
    })
  })
})

function clientName(deal: Deal): Uint8Array {
  const { endEpoch } = deal
  return Uint8Array.of(0, 0, endEpoch >>> 8, endEpoch & 0xff, ...dealId(deal))
}

const noting = (asked: string[]) => (network: Network, index: number) =>
  over(network, (peer, protocol, ...rest) => {
    asked.push(`${index} ${protocol}`)
    return network.request(peer, protocol, ...rest)
  })

/** Loses the answers to proposals that the provider agreed to. */
const lossy = (network: Network, cut: () => boolean) =>
  over(network, async (peer, protocol, ...rest) => {
    const answer = await network.request(peer, protocol, ...rest)
    if (cut() && protocol === 'piece-put') throw new Error('the line was cut')
    return answer
  })
