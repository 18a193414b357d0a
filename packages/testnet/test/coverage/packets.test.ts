import { strict as assert } from 'node:assert'
import {
  ASK_EVERY_MS,
  type BoughtPacket,
  identityKey,
  type KindServices,
  type Network,
  type NodeKind,
  OFFERS_MAX,
  PACKETS_PROTOCOL,
  type PacketOffer,
  PacketsAnswer,
  PacketsRequest,
  type PurchaseFailure,
  type PurchaseOrder,
  Purchases,
  type SalePacket,
  Sales,
  UNPAID_PACKETS,
  WANTED_MAX,
} from '@cairn/node'
import {
  ABSENT_LEVEL,
  boughtSigningRoot,
  CairnError,
  COVERAGE,
  coverage,
  type Deposit,
  decode,
  ed25519,
  encodeLevel,
  equalBytes,
  hex,
  introductionSigningRoot,
  type Kind,
  type RegistryEntry,
  sha256,
} from '@cairn/protocol'
import { entryOf, identitySecret, NETWORK } from '../../../protocol/test/kernel-world.ts'
import { NodeWorld, peerName, type WorldNode } from '../node/world.ts'

const kind = coverage as unknown as Kind<unknown>
const GATEWAYS = 4
const SERVER = 6
const PRICE = 10n
const account = (index: number) => new Uint8Array(20).fill(0xa0 + index)
const keyOf = (index: number) => ed25519.publicKey(identitySecret(index))

interface Seller extends WorldNode {
  hear(packet: Partial<SalePacket> & { payload: Uint8Array }): void
  sales: Sales
}

describe('packets', () => {
  let world: NodeWorld
  const stops: (() => Promise<void>)[] = []

  const begin = (amount = 100_000n, entry: Partial<RegistryEntry> = {}) => {
    const deposits: Deposit[] = [{ account: account(SERVER), key: keyOf(SERVER), amount }]
    world = new NodeWorld({
      nodes: GATEWAYS,
      kinds: [kind],
      entry: () => ({ kinds: 1 << COVERAGE, ...entry }),
      deposits,
      // Nothing is paid but packets, so that sums can be read.
      profile: { packetPrice: PRICE, weights: { 2: 1 }, voteShare: 0n, submitReward: 0n },
    })
  }
  afterEach(async () => {
    for (const stop of stops.splice(0)) await world.until(stop())
  })

  async function gateway(index: number): Promise<Seller> {
    let hear: Seller['hear'] | undefined
    let sales: Sales | undefined
    const halves = (services: KindServices): NodeKind[] => {
      const own = new Sales({ ...services, view: services.epochs }, services.epochs)
      const { voice, store } = services
      const offer = own.add({ voice, store: store.sublevel('sold') })
      hear = packet => {
        const heard = { type: 2, address: 0x26011bdan, frequency: 868_100_000 }
        const radio = {
          spreadingFactor: 7,
          bandwidth: 125,
          rssi: encodeLevel(-900),
          snr: ABSENT_LEVEL,
        }
        offer({ ...heard, ...radio, at: services.clock.now(), ...packet })
      }
      sales = own
      return [
        {
          kind,
          start: () => own.start(),
          stop: () => own.stop(),
          epoch: base => own.epoch(base),
          attest: async () => undefined,
        },
      ]
    }
    const built = world.node(index, { halves })
    await built.node.start()
    stops.push(() => built.node.stop())
    return { ...built, hear, sales } as Seller
  }

  interface Buyer extends WorldNode {
    packets: BoughtPacket[]
    failures: PurchaseFailure[]
    end(): Promise<void>
  }

  async function server(
    gateways: number[],
    order: Partial<PurchaseOrder> = {},
    store?: WorldNode['store'],
  ): Promise<Buyer> {
    let purchases: Purchases | undefined
    const halves = (services: KindServices): NodeKind[] => {
      const key = identityKey(services.signer)
      purchases = new Purchases(
        { ...services, view: services.epochs, store: services.store.sublevel('bought'), key },
        services.epochs,
      )
      return []
    }
    const built = world.node(SERVER, { halves, ...(store && { store }) })
    await built.node.start()
    const packets: BoughtPacket[] = []
    const failures: PurchaseFailure[] = []
    const over = new AbortController()
    const wish = { gateways, filters: [], joins: false, ...order }
    const reading = (async () => {
      for await (const bought of purchases?.buy(wish, over.signal) ?? []) {
        if ('packet' in bought) packets.push(bought.packet)
        else failures.push(bought.failure)
      }
    })()
    const end = async () => {
      if (over.signal.aborted) return
      over.abort()
      await reading
      await built.node.stop()
      world.network.crash(built.network.self)
    }
    stops.push(end)
    return { ...built, packets, failures, end }
  }

  const unique = (sequence: bigint) =>
    new Uint8Array(20).fill(Number(sequence >> 8n), 1).fill(Number(sequence & 255n), 0, 1)
  const payload = (number: number) => new Uint8Array(20).fill(number)
  const pass = (ms: number) => world.clock.run({ until: world.clock.now() + ms })
  const numbers = ({ packets }: Buyer) => packets.map(packet => packet.payload[0])

  /** What a server's own request is answered with. */
  async function ask(
    network: Network,
    change: Partial<PacketsRequest> & { signed?: bigint; forGateway?: number; peer?: string } = {},
  ): Promise<PacketsAnswer> {
    const { packets = 0n, signed = packets, forGateway = 0, peer = network.self, ...rest } = change
    const secret = identitySecret(SERVER)
    const serverKey = keyOf(SERVER)
    const bought = { server: serverKey, gateway: forGateway, packets: signed }
    const self = { client: serverKey, provider: 0, peer }
    const request = PacketsRequest.serialize({
      gateway: 0,
      server: serverKey,
      introduction: ed25519.sign(introductionSigningRoot(self, NETWORK), secret),
      packets,
      signature: ed25519.sign(boughtSigningRoot(bought, NETWORK), secret),
      after: 0n,
      filters: [],
      joins: 0,
      take: [],
      ...rest,
    })
    const options = {
      signal: new AbortController().signal,
      maxResponseBytes: PacketsAnswer.maxSize,
    }
    const answer = network.request(peerName(0), PACKETS_PROTOCOL, request, options)
    return decode(PacketsAnswer, await world.until(answer))
  }
  const refusal = (asked: Promise<PacketsAnswer>) =>
    asked.then(
      () => 'answered',
      error => (error instanceof CairnError ? error.code : String(error)),
    )

  it('that a server buys are paid by the next checkpoint, to the last unit', async () => {
    begin()
    const sellers = [await gateway(0), await gateway(1), await gateway(2)] as const
    const buyer = await server([0, 1])
    await world.run(1, 1)
    for (let number = 0; number < 5; number++) sellers[0].hear({ payload: payload(number) })
    sellers[1].hear({ payload: payload(7) })
    sellers[2].hear({ payload: payload(8) })
    await pass(1_000)
    assert.deepEqual(numbers(buyer).toSorted(), [0, 1, 2, 3, 4, 7], 'nobody asked gateway 2')
    // What both heard is bought once.
    sellers[0].hear({ payload: payload(9) })
    await pass(500)
    sellers[1].hear({ payload: payload(9) })
    await pass(1_000)
    assert.equal(buyer.packets.length, 7)
    assert.deepEqual(buyer.failures, [])
    await world.run(3)
    const { checkpointer, settlements } = sellers[0].node
    const last = await world.until(settlements.accepted(checkpointer.adopted))
    assert.ok(last !== undefined && last.checkpoint.epoch >= 1n)
    const { payouts } = last.state.core
    const of = (wanted: Uint8Array) => payouts.find(payout => equalBytes(payout.account, wanted))
    assert.equal(of(account(SERVER))?.spent, 7n * PRICE)
    // A tenth is burned, and minted again by the service pot.
    const earned = [0, 1].map(index => of(entryOf(index).payout)?.earned ?? 0n)
    assert.equal(earned[0], 60n)
    assert.equal(earned[1], 10n)
    assert.equal(of(entryOf(2).payout), undefined, 'merely heard')
    assert.equal(last.checkpoint.spentTotal, 70n)
    assert.equal(last.checkpoint.earnedTotal, 70n)
    assert.deepEqual(
      last.state
        .of(coverage)
        .bought.map(({ server: key, gateway: node, packets }) => [hex(key), node, packets]),
      [
        [hex(keyOf(SERVER)), 0, 6n],
        [hex(keyOf(SERVER)), 1, 1n],
      ],
    )
    await world.run(4, 1)
    const [sold] = sellers[0].sales.sold()
    assert.deepEqual([sold?.receipted, sold?.paid, sold?.unpaid], [6n, 6n, 0])
  })

  it('are offered to who wants their addresses, and joins to who asks for them', async () => {
    begin()
    const seller = await gateway(0)
    const buyer = await server([0], { filters: [{ address: 0x26000000, bits: 8 }] })
    await world.run(1, 1)
    seller.hear({ payload: payload(1), address: 0x26ffffffn })
    seller.hear({ payload: payload(2), address: 0x27000000n })
    seller.hear({ payload: payload(3), type: 0, address: 0x70b3d57ed00000dcn })
    await pass(1_000)
    assert.deepEqual(numbers(buyer), [1])
    await world.until(buyer.end())
    const other = await server(
      [0],
      { joins: true, filters: [{ address: 0, bits: 32 }] },
      buyer.store,
    )
    await pass(12_000)
    assert.deepEqual(numbers(other), [3])
    assert.equal(other.packets[0]?.address, 0x70b3d57ed00000dcn)
  })

  it('are taken as fast as was ordered: who invents some does not empty a deposit', async () => {
    begin()
    const seller = await gateway(0)
    const buyer = await server([0], { perSecond: 3 })
    await world.run(1, 1)
    for (let second = 1; second <= 4; second++) {
      for (let number = 0; number < 20; number++) {
        seller.hear({ payload: new Uint8Array(20).fill(number).fill(second, 1) })
      }
      await pass(1_000)
      assert.ok(buyer.packets.length <= 3 * (second + 1), `${buyer.packets.length} in ${second} s`)
    }
    assert.ok(buyer.packets.length >= 9)
  })

  it('are handed over a bounded number ahead of receipts, and no further', async () => {
    begin()
    const seller = await gateway(0)
    const network = world.network.join('peer9')
    await network.start()
    await world.run(1, 1)
    for (let number = 0; number < UNPAID_PACKETS + 1; number++) {
      seller.hear({ payload: payload(number) })
    }
    const { offers } = await ask(network)
    assert.equal(offers.length, UNPAID_PACKETS + 1)
    const all = offers.map(({ sequence }) => sequence)
    const { taken } = await ask(network, { take: all.slice(0, UNPAID_PACKETS) })
    assert.equal(taken.length, UNPAID_PACKETS)
    const last = all.slice(UNPAID_PACKETS)
    assert.equal(await refusal(ask(network, { take: last })), 'unpaid')
    const paid = await ask(network, { packets: 1n, take: last })
    assert.equal(paid.taken.length, 1)
    // A lower total than before is no step back, and pays nothing.
    assert.equal(await refusal(ask(network, { packets: 0n, take: last })), 'unpaid')
    const { packets } = await ask(network, { packets: 0n, after: 0n })
    assert.equal(packets, 1n, 'who forgot what it signed is told')
  })

  it('go to nobody without the server’s signature, key and deposit', async () => {
    begin(BigInt(UNPAID_PACKETS) * PRICE + 20n)
    const seller = await gateway(0)
    const network = world.network.join('peer9')
    await network.start()
    await world.run(1, 1)
    seller.hear({ payload: payload(1) })
    assert.equal(await refusal(ask(network)), 'answered')
    assert.equal(await refusal(ask(network, { packets: 1n, signed: 2n })), 'badSignature')
    assert.equal(await refusal(ask(network, { packets: 1n, forGateway: 1 })), 'badSignature')
    const unsigned = new Uint8Array(64)
    assert.equal(await refusal(ask(network, { packets: 1n, signature: unsigned })), 'badSignature')
    const thief = world.network.join('peer8')
    await thief.start()
    assert.equal(await refusal(ask(thief, { peer: 'peer9' })), 'badSignature')
    assert.equal(await refusal(ask(network, { server: keyOf(5) })), 'badSignature')
    assert.equal(await refusal(ask(network, { gateway: 2 })), 'notActive')
    assert.equal(await refusal(ask(network, { packets: 2n })), 'answered')
    assert.equal(await refusal(ask(network, { packets: 3n })), 'notCovered')
  })

  const offerOf = (content: Uint8Array, change: Partial<PacketOffer> = {}): PacketOffer => ({
    sequence: 5n,
    digest: sha256(content),
    type: 2,
    address: 0x26011bdan,
    length: content.length,
    frequency: 868_100_000,
    spreadingFactor: 7,
    bandwidth: 125,
    rssi: 0,
    snr: 0,
    at: 0n,
    ...change,
  })

  /** A peer that answers whatever it likes; gives the requests that it got. */
  async function stall(
    peer: string,
    answer: (request: PacketsRequest) => Partial<PacketsAnswer> | Promise<Partial<PacketsAnswer>>,
  ): Promise<PacketsRequest[]> {
    const network = world.network.join(peer)
    await network.start()
    const requests: PacketsRequest[] = []
    const options = {
      maxRequestBytes: PacketsRequest.maxSize,
      maxResponseBytes: PacketsAnswer.maxSize,
      perSecond: 50,
    }
    network.serve(PACKETS_PROTOCOL, options, async bytes => {
      const request = decode(PacketsRequest, bytes)
      requests.push(request)
      const none = { packets: 0n, signature: new Uint8Array(64), taken: [], offers: [] }
      return PacketsAnswer.serialize({ ...none, ...(await answer(request)) })
    })
    return requests
  }

  it('that do not come, or are not what was offered, are not signed for', async () => {
    begin()
    let content: Uint8Array[] = []
    const offers = [offerOf(payload(2))]
    const requests = await stall(peerName(0), async ({ take }) => {
      await world.clock.until(world.clock.now() + 500)
      if (take.length === 0) return { offers }
      return { taken: content.map(part => ({ sequence: 5n, payload: part })), offers }
    })
    const buyer = await server([0])
    await world.run(1, 1)
    await pass(3_000)
    content = [payload(1)]
    await pass(20_000)
    assert.ok(buyer.failures.some(({ code }) => code === 'packetDamaged'))
    assert.deepEqual(buyer.packets, [])
    assert.ok(requests.length > 3 && requests.every(({ packets }) => packets === 0n))
  })

  it('are bought once, however often a gateway offers them, and only if they are wanted', async () => {
    begin()
    const offers = [
      ...[1n, 2n, 3n].map(sequence => offerOf(payload(1), { sequence })),
      offerOf(payload(4), { sequence: 4n, address: 0x27000000n }),
      offerOf(payload(5), { sequence: 5n, type: 0 }),
    ]
    const contents = [1, 1, 1, 4, 5].map(payload)
    const requests = await stall(peerName(0), ({ after, take }) => ({
      taken: take.map(sequence => ({ sequence, payload: contents[Number(sequence) - 1] as never })),
      offers: after === 0n ? offers : [],
    }))
    const buyer = await server([0], { filters: [{ address: 0x26000000, bits: 8 }] })
    await world.run(1, 1)
    await pass(2_000)
    assert.deepEqual(numbers(buyer), [1])
    assert.equal(requests.at(-1)?.packets, 1n)
  })

  it('are asked for at a bounded rate, and as many offers kept, whatever a gateway does', async () => {
    begin()
    let sequence = 0n
    let slowness = 0
    const requests = await stall(peerName(0), async () => {
      if (slowness > 0) await world.clock.until(world.clock.now() + slowness)
      const offers = Array.from({ length: OFFERS_MAX }, () => {
        sequence += 1n
        return offerOf(unique(sequence), { sequence })
      })
      return { offers }
    })
    const buyer = await server([0], { perSecond: 1_000 })
    await world.run(1, 1)
    const before = requests.length
    await pass(2_000)
    assert.ok(requests.length - before <= 2_000 / ASK_EVERY_MS + 1, `${requests.length - before}`)
    // Slow enough not to use up what is taken in a second.
    slowness = 50
    await pass(5_000)
    const last = requests.at(-1)
    assert.ok(last !== undefined && last.take.length === UNPAID_PACKETS)
    const oldest = last.after - (last.take[0] as bigint)
    assert.ok(oldest <= BigInt(WANTED_MAX), `the offer before ${oldest} others was kept`)
    assert.deepEqual(buyer.packets, [])
  })

  it('are bought of a gateway whose operator runs another daemon too', async () => {
    begin(100_000n, { operator: account(0) })
    const content = payload(3)
    const wrong = await stall(peerName(0), () => {
      throw new CairnError('notActive', 'that gateway is not here')
    })
    await stall(peerName(1), ({ after, take }) => ({
      taken: take.map(sequence => ({ sequence, payload: content })),
      offers: after === 0n ? [offerOf(content)] : [],
    }))
    const buyer = await server([2])
    await world.run(1, 1)
    await pass(8_000)
    assert.deepEqual(numbers(buyer), [3])
    assert.equal(wrong.length, 1, 'who has it is asked first from then on')
  })

  it('are counted on after a server lost its memory, by its own signature', async () => {
    begin()
    const seller = await gateway(0)
    const buyer = await server([0])
    await world.run(1, 1)
    for (let number = 0; number < 3; number++) seller.hear({ payload: payload(number) })
    await pass(1_000)
    await world.until(buyer.end())
    const again = await server([0])
    await pass(2_000)
    seller.hear({ payload: payload(9) })
    await pass(12_000)
    const [sold] = seller.sales.sold()
    assert.equal(sold?.receipted, BigInt(3 + again.packets.length))
  })
})
