import { strict as assert } from 'node:assert'
import {
  type DealKeys,
  type Network,
  PAID_MAX,
  Payer,
  PieceProtocol,
  pullPiece,
  RECEIPT_STEP,
  RESERVED_PARTS,
  TAB_PROTOCOL,
  TABS_MAX,
  TabAnswer,
  TabRequest,
  type Toll,
  UNPAID_MAX,
} from '@cairn/node'
import {
  CairnError,
  decode,
  deliveredSigningRoot,
  ed25519,
  enclosingRange,
  hex,
  introductionSigningRoot,
  MessageType,
  type Piece,
  PieceRange,
  plainVerifier,
  RANGE_BYTES,
  type Receipt,
  type Served,
  STORAGE,
  TESTNET_PROFILE,
  TOKEN,
} from '@cairn/protocol'
import { MemoryStore } from '@cairn/testnet'
import {
  bytes32,
  clientKey,
  clientSecret,
  deposit,
  entryOf,
} from '../../../protocol/test/kinds/storage/world.ts'
import { EPOCH, over, pattern, peerName, stream, World, type WorldInit } from './world.ts'

/** The node that fetches under the deal key of client 1. */
const CLIENT = 6
const { strangerBytes, sealSlot, receiptBytes } = TESTNET_PROFILE
const MIB = 2 ** 20

const ownKey = {
  key: clientKey(1),
  sign: (root: Uint8Array) => ed25519.sign(root, clientSecret(1)),
}
const keys = (index: number): DealKeys => {
  if (index !== CLIENT) return { all: () => [], of: () => undefined }
  return { all: () => [ownKey], of: () => undefined }
}

describe('bytes delivered', () => {
  let world: World
  let served: Served[]

  async function begin(init: WorldInit = {}): Promise<World> {
    served = []
    world = new World({ keys, deposits: [deposit(1, TOKEN)], state: () => ({ served }), ...init })
    await world.start()
    return world
  }

  afterEach(() => world.stop())

  const keep = (bytes: number, seed = 1): Promise<Piece> =>
    world.node(0).pieces.put(stream(pattern(bytes, seed), 1_000_000))

  /** Fetches a whole piece from node 0, and resolves with how much came. */
  async function fetch(piece: Piece, network: Network = world.node(CLIENT).half.paying()) {
    let bytes = 0
    const pull = async () => {
      const init = { piece, peers: [peerName(0)], signal: new AbortController().signal }
      for await (const part of pullPiece({ network, clock: world.clock }, init))
        bytes += part.length
    }
    await world.run(pull())
    return bytes
  }

  const range = (piece: Piece, offset: number, network: Network) =>
    world.run(ask(piece, offset, network))

  const ask = (piece: Piece, offset: number, network: Network) => {
    const length = Math.min(RANGE_BYTES, piece.payload - offset)
    const request = PieceRange.serialize(enclosingRange({ piece, offset, length }))
    const options = { signal: new AbortController().signal, maxResponseBytes: 2 * MIB }
    return network.request(peerName(0), PieceProtocol.get, request, options)
  }

  /** Ranges that node 0 gives a peer before it refuses, and the code of the refusal. */
  async function ranges(piece: Piece, network: Network): Promise<[number, string]> {
    for (let count = 0; ; count++) {
      try {
        await range(piece, count * RANGE_BYTES, network)
      } catch (error) {
        return [count, (error as CairnError).code]
      }
    }
  }

  interface Ask {
    bytes?: bigint
    signed?: bigint
    client?: number
    peer?: string
    network?: Network
    provider?: number
  }

  async function tab(init: Ask = {}) {
    const { bytes = 0n, signed = bytes, client = 1, provider = 0 } = init
    const { network = world.node(5).network } = init
    const id = world.base.network
    const secret = clientSecret(client)
    const delivered = { client: clientKey(client), provider, bytes: signed }
    const self = { client: clientKey(client), provider, peer: init.peer ?? network.self }
    const request = TabRequest.serialize({
      client: clientKey(client),
      bytes,
      signature: ed25519.sign(deliveredSigningRoot(delivered, id), secret),
      introduction: ed25519.sign(introductionSigningRoot(self, id), secret),
    })
    const options = { signal: new AbortController().signal, maxResponseBytes: TabAnswer.maxSize }
    return decode(
      TabAnswer,
      await world.run(network.request(peerName(0), TAB_PROTOCOL, request, options)),
    )
  }

  const service = (index: number) => world.node(index).half.service()
  const quiet = () => world.clock.run({ until: world.clock.now() + 2_000 })
  const receipts = () => world.set.ofType<Receipt>(MessageType.receipt, STORAGE)

  /** Runs to where providers say their receipts, in the next epoch. */
  async function nextSeal(plus: number): Promise<void> {
    await world.toEpoch(EPOCH + plus, [])
    const { slotMs } = world.base.profile
    await world.clock.run({ until: world.clock.now() + (sealSlot + 1) * slotMs })
  }

  it('are acknowledged as they come and at the end, and said before the epoch ends', async () => {
    await begin()
    const size = 2 * RECEIPT_STEP + 3 * MIB
    const piece = await keep(size)
    assert.equal(await fetch(piece), size)
    const [during] = service(0).clients
    assert.ok(during && during.receipted >= BigInt(RECEIPT_STEP))
    await quiet()
    const total = BigInt(size)
    assert.deepEqual(service(0).clients, [
      { client: clientKey(1), receipted: total, paid: 0n, unpaid: 0 },
    ])
    assert.deepEqual(service(CLIENT).providers, [
      { provider: 0, client: clientKey(1), received: total, signed: total },
    ])
    assert.equal(service(0).free?.used, 0, 'who pays takes nothing of what is free')
    await nextSeal(1)
    const [receipt] = receipts()
    assert.equal(receipt?.value.bytes, total)
    const { fees } = world.settle()
    assert.deepEqual(
      fees.map(({ client, node, amount }) => [client, node, amount]),
      [[hex(clientKey(1)), 0, (total * TESTNET_PROFILE.servedPrice) / 2n ** 30n]],
    )
  })

  it('are said once, and again while no base counts them', async () => {
    await begin()
    await fetch(await keep(2 * MIB))
    await quiet()
    const said: number[] = []
    for (let plus = 1; plus < 8; plus++) {
      await nextSeal(plus)
      if (receipts().length > 0) said.push(plus)
      if (plus === 4) served = [{ client: clientKey(1), provider: 0, bytes: BigInt(2 * MIB) }]
    }
    assert.deepEqual(said, [1, 4])
    assert.equal(service(0).clients[0]?.paid, BigInt(2 * MIB))
  })

  it('are not said while they are fewer than is worth a message', async () => {
    await begin()
    await fetch(await keep(receiptBytes - 1))
    await quiet()
    await nextSeal(1)
    assert.equal(receipts().length, 0)
    await fetch(await keep(100, 2))
    await quiet()
    await nextSeal(2)
    assert.equal(receipts()[0]?.value.bytes, BigInt(receiptBytes + 99))
  })

  it('are at most so many ahead of a client’s receipts', async () => {
    await begin()
    const piece = await keep(UNPAID_MAX + 8 * MIB)
    const { network } = world.node(5)
    await tab({ network })
    const most = Math.floor(UNPAID_MAX / RANGE_BYTES)
    assert.deepEqual(await ranges(piece, network), [most, 'unpaid'])
    const bytes = BigInt(5 * RANGE_BYTES)
    assert.equal((await tab({ network, bytes })).bytes, bytes)
    assert.deepEqual(await ranges(piece, network), [5, 'unpaid'])
    await world.toEpoch(EPOCH + 1, [])
    const [written] = await ranges(piece, network)
    assert.ok(written * RANGE_BYTES <= UNPAID_MAX / 4 && written > 0, 'a part is written off')
  })

  it('wait for a receipt that got lost, and go on', async () => {
    let lost = 0
    const wrapNetwork = (network: Network, index: number): Network =>
      index !== CLIENT
        ? network
        : over(network, async (peer, protocol, request, options) => {
            // The opening passes, then receipts are lost until the provider waits for one.
            if (protocol === TAB_PROTOCOL && decode(TabRequest, request).bytes > 0n && lost < 3) {
              lost++
              throw new CairnError('timeout', 'lost')
            }
            return await network.request(peer, protocol, request, options)
          })
    await begin({ wrapNetwork })
    const piece = await keep(UNPAID_MAX + 3 * MIB)
    assert.equal(await fetch(piece), UNPAID_MAX + 3 * MIB)
    assert.equal(lost, 3)
    await quiet()
    assert.equal(service(0).clients[0]?.receipted, BigInt(UNPAID_MAX + 3 * MIB))
  })

  it('are paid where a tab could not be opened at first, once what is free is gone', async () => {
    let failed = 0
    const wrapNetwork = (network: Network, index: number): Network =>
      index !== CLIENT
        ? network
        : over(network, async (peer, protocol, request, options) => {
            if (protocol === TAB_PROTOCOL && failed++ === 0) throw new CairnError('timeout', 'slow')
            return await network.request(peer, protocol, request, options)
          })
    await begin({ wrapNetwork })
    const size = strangerBytes + 2 * MIB
    assert.equal(await fetch(await keep(size)), size)
    await quiet()
    const free = service(0).free?.used ?? 0
    assert.ok(free > 0)
    assert.equal(service(0).clients[0]?.receipted, BigInt(size - free))
  })

  it('are free for strangers up to what each epoch gives them together', async () => {
    await begin({ deposits: [] })
    const piece = await keep(strangerBytes + MIB)
    const most = Math.floor((strangerBytes - strangerBytes / RESERVED_PARTS) / RANGE_BYTES)
    const half = Math.floor(most / 2)
    for (let i = 0; i < half; i++) await range(piece, i * RANGE_BYTES, world.node(3).network)
    const [rest, code] = await ranges(piece, world.node(4).network)
    assert.equal(rest, most - half, 'a part is kept for small requests')
    assert.equal(code, 'unpaid')
    assert.equal(service(0).free?.used, (half + rest) * RANGE_BYTES)
    await world.toEpoch(EPOCH + 1, [])
    await range(piece, 0, world.node(4).network)
    assert.deepEqual(service(0).free, { used: RANGE_BYTES, quota: strangerBytes })
  })

  it('cost nothing that nobody got', async () => {
    await begin()
    const piece = await keep(MIB)
    world.node(0).pieces.readProven = async () => {
      throw new CairnError('pieceDamaged', 'the disk fails')
    }
    await assert.rejects(range(piece, 0, world.node(4).network), { code: 'pieceDamaged' })
    assert.equal(service(0).free?.used, 0)
    await tab()
    await assert.rejects(range(piece, 0, world.node(5).network), { code: 'pieceDamaged' })
    assert.equal(service(0).clients[0]?.unpaid, 0)
  })

  it('cost nothing that nobody got, though who asked for them has a tab since', async () => {
    await begin()
    const piece = await keep(MIB)
    const { network } = world.node(5)
    const { promise: failed, reject } = Promise.withResolvers<never>()
    world.node(0).pieces.readProven = () => failed
    const refused = assert.rejects(ask(piece, 0, network), { code: 'pieceDamaged' })
    await world.clock.run({ until: world.clock.now() + 100 })
    assert.equal(service(0).free?.used, RANGE_BYTES)
    await tab({ network })
    const toll = world.node(0).half.toll as Toll
    toll.take(network.self, MIB)
    reject(new CairnError('pieceDamaged', 'the disk fails'))
    await world.run(refused)
    assert.equal(service(0).free?.used, 0)
    assert.equal(service(0).clients[0]?.unpaid, MIB)
  })

  it('are not acknowledged where they are not those of the piece', async () => {
    await begin()
    const piece = await keep(3 * MIB)
    const { pieces } = world.node(0)
    const whole = pieces.readProven.bind(pieces)
    pieces.readProven = async range => {
      const proof = await whole(range)
      return range.offset === 0 ? proof : { ...proof, payload: proof.payload.slice().fill(9) }
    }
    await assert.rejects(fetch(piece), { code: 'pieceUnavailable' })
    await quiet()
    const [paid] = service(CLIENT).providers
    assert.equal(paid?.received, BigInt(RANGE_BYTES))
    assert.equal(service(0).clients[0]?.receipted, BigInt(RANGE_BYTES))
  })

  it('go to no account that the deposit does not cover, nor on a stranger’s word', async () => {
    const needed = (BigInt(UNPAID_MAX) * TESTNET_PROFILE.servedPrice) / 2n ** 30n
    await begin({ deposits: [deposit(1, needed), deposit(2, needed - 1n)] })
    await tab()
    await assert.rejects(tab({ client: 2 }), { code: 'notCovered' })
    await assert.rejects(tab({ client: 3 }), { code: 'notCovered' })
    await assert.rejects(tab({ peer: peerName(4), network: world.node(3).network }), {
      code: 'badSignature',
    })
    await assert.rejects(tab({ provider: 1, network: world.node(3).network }), {
      code: 'badSignature',
    })
    assert.equal(service(0).clients.length, 2, 'a key with a deposit is known, without a tab')
    const piece = await keep(MIB)
    await range(piece, 0, world.node(3).network)
    assert.ok((service(0).free?.used ?? 0) > 0)
  })

  it('are acknowledged by the client’s own signature alone, and never by less than before', async () => {
    await begin()
    await assert.rejects(tab({ bytes: 10n, signed: 9n }), { code: 'badSignature' })
    assert.equal((await tab({ bytes: 10n })).bytes, 10n)
    const { bytes, signature } = await tab({ bytes: 4n, signed: 4n })
    assert.equal(bytes, 10n)
    const root = deliveredSigningRoot(
      { client: clientKey(1), provider: 0, bytes: 10n },
      world.base.network,
    )
    assert.ok(plainVerifier.ed25519(root, clientKey(1), signature))
  })

  it('are not counted anew after a restart of either side', async () => {
    await begin()
    await fetch(await keep(2 * MIB))
    await quiet()
    await world.restart(0)
    assert.equal(service(0).clients[0]?.receipted, BigInt(2 * MIB))
    await world.restart(CLIENT)
    await fetch(await keep(MIB, 2))
    await quiet()
    assert.equal(service(0).clients[0]?.receipted, BigInt(3 * MIB))
  })

  it('are gone on with where a client forgot what it signed, and shows no forged receipt', async () => {
    await begin()
    await tab({ bytes: 700n })
    await fetch(await keep(MIB))
    await quiet()
    assert.deepEqual(service(CLIENT).providers, [
      { provider: 0, client: clientKey(1), received: BigInt(MIB + 700), signed: BigInt(MIB + 700) },
    ])
    await world.stop()
    const forged = TabAnswer.serialize({ bytes: 9_999n, signature: new Uint8Array(64).fill(1) })
    const wrapNetwork = (network: Network, index: number): Network =>
      index !== CLIENT
        ? network
        : over(network, async (peer, protocol, request, options) =>
            protocol === TAB_PROTOCOL
              ? forged
              : await network.request(peer, protocol, request, options),
          )
    await begin({ wrapNetwork })
    assert.equal(await fetch(await keep(MIB)), MIB, 'it fetches as a stranger')
    assert.deepEqual(service(CLIENT).providers, [])
  })

  it('are on a bounded number of accounts, of which those that owe nothing make room', async () => {
    const deposits = Array.from({ length: TABS_MAX + 2 }, (_, n) => ({
      ...deposit(1, TOKEN),
      account: bytes32(n, 8).slice(0, 20),
      key: ed25519.publicKey(bytes32(n, 2)),
    }))
    await begin({ deposits })
    const toll = world.node(0).half.toll as Toll
    const ask = async (n: number, bytes: bigint) => {
      const client = ed25519.publicKey(bytes32(n, 2))
      const id = world.base.network
      const sign = (root: Uint8Array) => ed25519.sign(root, bytes32(n, 2))
      const request = TabRequest.serialize({
        client,
        bytes,
        signature: sign(deliveredSigningRoot({ client, provider: 0, bytes }, id)),
        introduction: sign(introductionSigningRoot({ client, provider: 0, peer: `p${n}` }, id)),
      })
      await toll.answer(request, `p${n}`)
    }
    for (let n = 0; n < TABS_MAX; n++) {
      await ask(n, 0n)
      if (n !== 77) toll.take(`p${n}`, 1)
    }
    assert.equal(service(0).clients.length, TABS_MAX)
    await ask(TABS_MAX, 5n)
    assert.equal(service(0).clients.length, TABS_MAX, 'the one that never owed anything left')
    await assert.rejects(ask(TABS_MAX + 1, 5n), { code: 'busy' })
  }).timeout(60_000)

  it('are paid to a bounded number of providers at a time', async () => {
    await begin()
    const registry = Array.from({ length: PAID_MAX + 5 }, (_, index) => entryOf(index))
    const base = { ...world.base, nodes: registry, available: () => TOKEN, network: bytes32(1) }
    const network = {
      self: 'me',
      request: async (_: string, protocol: string) =>
        protocol === TAB_PROTOCOL
          ? TabAnswer.serialize({ bytes: 0n, signature: new Uint8Array(64) })
          : new Uint8Array(10),
    } as unknown as Network
    const payer = new Payer(
      {
        clock: world.clock,
        network,
        store: new MemoryStore(),
        view: { base: () => base as unknown as typeof world.base },
        keys: keys(CLIENT),
        verifier: plainVerifier,
        log: world.log,
        peerOf: ({ index }) => peerName(index),
      },
      { calendar: world.base },
    )
    const paying = payer.network()
    const piece = await keep(1_000)
    for (const { index } of registry) await range2(paying, piece, index)
    assert.equal(payer.providers().length, PAID_MAX)
    await payer.stop()
  })

  function range2(network: Network, piece: Piece, index: number) {
    const request = PieceRange.serialize({ piece, offset: 0, length: piece.payload })
    const options = { signal: new AbortController().signal, maxResponseBytes: MIB }
    return network.request(peerName(index), PieceProtocol.get, request, options)
  }
})
