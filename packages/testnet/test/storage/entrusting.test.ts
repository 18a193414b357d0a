import { strict as assert } from 'node:assert'
import {
  Delegates,
  ENTRUST_PROTOCOL,
  Entrusted,
  type Entrusting,
  entrustingRoot,
  type Log,
  type Network,
  type OwnGroup,
  PATIENCE_EPOCHS,
  SignedEntrusting,
  type Signer,
} from '@cairn/node'
import {
  Delegation,
  decode,
  type Envelope,
  type EpochBase,
  ed25519,
  hex,
  MessageType,
  plainVerifier,
  shardKey,
} from '@cairn/protocol'
import { MemoryStore, SimulatedNetwork, VirtualClock } from '@cairn/testnet'
import {
  baseOf,
  bytes32,
  clientKey,
  clientSecret,
  dealOf,
  nodeSecret,
  pieceOf,
  registry,
  stateOf,
} from '../../../protocol/test/kinds/storage/world.ts'

const pieces = [pieceOf(1_000, 1), pieceOf(1_000, 2), pieceOf(1_000, 3)]
const KEY = bytes32(77)
const group = { id: bytes32(1, 9), data: 2, pieces, opens: KEY }
const FIRST = 4
const SECOND = 5
const silent: Log = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent }

function signerOf(secret: Uint8Array): Signer {
  const sign = (root: Uint8Array) => ed25519.sign(root, secret)
  return { identity: ed25519.publicKey(secret), signIdentity: sign } as unknown as Signer
}

function baseWith(delegations: Delegation[], kept = true): EpochBase {
  const deals = kept ? [dealOf({ piece: pieces[0] ?? assert.fail() })] : []
  return baseOf({ state: stateOf(deals, [], { delegations }), registry: registry(8) })
}

describe('entrusting a delegate', () => {
  let clock: VirtualClock
  let network: SimulatedNetwork
  let base: EpochBase

  beforeEach(() => {
    clock = new VirtualClock({ start: 0 })
    network = new SimulatedNetwork(
      { clock },
      { seed: bytes32(1), latency: { min: 5, max: 40 }, loss: 0 },
    )
    base = baseWith([])
  })

  const pass = () => clock.run({ until: clock.now() + 30_000 })

  async function client(store = new MemoryStore(), name = 'client') {
    const said: Envelope[] = []
    const joined = network.join(name)
    await joined.start()
    const delegates = new Delegates({
      clock,
      network: joined,
      store,
      signer: signerOf(clientSecret(1)),
      log: silent,
      base: () => base,
      publish: async envelope => {
        said.push(envelope)
      },
      peerOf: ({ index }) => `node${index}`,
    })
    const name_ = async (...nodes: number[]) => {
      await delegates.name([group], nodes)
      await pass()
      const [last] = said.slice(-1)
      assert.equal(last?.type, MessageType.delegation)
      return decode(Delegation, (last as Envelope).body)
    }
    return { delegates, said, joined, name: name_, store }
  }

  async function delegate(index: number, store = new MemoryStore(), max?: number) {
    const joined = network.join(`node${index}`)
    const entrusted = new Entrusted(
      {
        network: joined,
        store,
        signer: signerOf(nodeSecret(index)),
        verifier: plainVerifier,
        base: () => base,
      },
      max === undefined ? {} : { max },
    )
    entrusted.start()
    await joined.start()
    const groups = async () => {
      const found: OwnGroup[] = []
      for await (const one of entrusted.groups()) found.push(one)
      return found
    }
    return { groups, joined, store }
  }

  /** Brings the first delegate a group, as its client does; resolves with what came of it. */
  const asking =
    (joined: Network) =>
    async (secret: Uint8Array, change: Partial<Entrusting> = {}) => {
      const value = {
        client: clientKey(1),
        group: group.id,
        pieces,
        data: 2,
        masked: 1,
        key: KEY,
        ...change,
      }
      const signature = ed25519.sign(entrustingRoot(value, base.network), secret)
      const request = SignedEntrusting.serialize({ value, signature })
      const { signal } = new AbortController()
      const asked = joined.request(`node${FIRST}`, ENTRUST_PROTOCOL, request, {
        signal,
        maxResponseBytes: 1,
      })
      const outcome = asked.then(
        () => 'taken',
        (error: { code: string }) => error.code,
      )
      await pass()
      return await outcome
    }

  it('gives each the key of the group once the state names it, and how long to be patient', async () => {
    const { name, delegates } = await client()
    const [first, second] = [await delegate(FIRST), await delegate(SECOND)]
    const delegation = await name(FIRST, SECOND)
    assert.deepEqual([...delegation.delegates], [FIRST, SECOND])
    assert.deepEqual(await first.groups(), [], 'the state does not name it yet')
    base = baseWith([delegation])
    delegates.epoch(base)
    await pass()
    for (const [order, { groups }] of [first, second].entries()) {
      const [own, ...others] = await groups()
      assert.ok(own && others.length === 0)
      assert.equal(hex(own.id), hex(group.id))
      assert.deepEqual([own.data, own.patience], [2, PATIENCE_EPOCHS * (order + 1)])
      assert.deepEqual(
        own.keys?.map(hex),
        pieces.map((_, place) => hex(shardKey(KEY, place))),
      )
      // Deals are the client's, and signed by the delegate.
      assert.equal(hex(own.signer?.key ?? new Uint8Array()), hex(clientKey(1)))
      const root = bytes32(3)
      const signature = own.signer?.sign(root) ?? new Uint8Array()
      const index = [FIRST, SECOND][order] ?? assert.fail()
      assert.ok(plainVerifier.ed25519(root, ed25519.publicKey(nodeSecret(index)), signature))
      assert.equal(own.barred?.size, 2)
      // Place 0 is held: only what nobody holds, on the terms of what is held.
      assert.deepEqual([...(own.limits?.places ?? [])], [1, 2])
      const { pricePerEpoch, endEpoch } = dealOf()
      assert.deepEqual([own.limits?.pricePerEpoch, own.limits?.endEpoch], [pricePerEpoch, endEpoch])
    }
    await delegates.stop()
  })

  it('goes on after a restart, and with who was away', async () => {
    const store = new MemoryStore()
    const before = await client(store)
    const delegation = await before.name(FIRST)
    base = baseWith([delegation])
    await before.delegates.stop()
    const { delegates, said } = await client(store, 'client again')
    delegates.epoch(base)
    await pass()
    assert.deepEqual(said, [], 'what the state carries is not said again')
    const { groups } = await delegate(FIRST)
    delegates.epoch(base)
    await pass()
    assert.equal((await groups()).length, 1)
    await delegates.stop()
  })

  it('says again what the state does not carry, and more than before', async () => {
    const { name, delegates, said } = await client()
    const first = await name(FIRST)
    delegates.epoch(base)
    await pass()
    assert.equal(said.length, 2)
    base = baseWith([first])
    const second = await name(SECOND)
    assert.ok(second.sequence > first.sequence)
    await delegates.stop()
  })

  it('is over when the state names somebody else', async () => {
    const { name, delegates } = await client()
    const { groups, store } = await delegate(FIRST)
    base = baseWith([await name(FIRST)])
    delegates.epoch(base)
    await pass()
    assert.equal((await groups()).length, 1)
    const nobody = await name()
    assert.deepEqual([...nobody.delegates], [])
    base = baseWith([nobody])
    assert.deepEqual(await groups(), [])
    let left = 0
    for await (const _ of store.range({ gte: new Uint8Array(0), lt: bytes32(0, 255) })) left++
    assert.equal(left, 0, 'the key is deleted')
    await delegates.stop()
  })

  it('takes a key from the client alone, and only for a group that names it', async () => {
    const { name, joined, delegates } = await client()
    const { groups } = await delegate(FIRST)
    const delegation = await name(FIRST)
    const ask = asking(joined)
    assert.equal(await ask(clientSecret(1)), 'notDelegate')
    base = baseWith([delegation])
    assert.equal(await ask(clientSecret(2)), 'badSignature')
    assert.equal(await ask(clientSecret(1), { group: bytes32(2) }), 'notDelegate')
    assert.equal(await ask(clientSecret(2), { client: clientKey(2) }), 'notDelegate')
    base = baseWith([{ ...delegation, delegates: [SECOND] }])
    assert.equal(await ask(clientSecret(1)), 'notDelegate')
    assert.deepEqual(await groups(), [])
    base = baseWith([delegation])
    for (const data of [0, 4]) assert.equal(await ask(clientSecret(1), { data }), 'badShape')
    assert.equal(await ask(clientSecret(1)), 'taken')
    assert.equal((await groups()).length, 1)
    await delegates.stop()
  })

  it('takes so many groups and no more, and one that it has again', async () => {
    const { name, joined, delegates } = await client()
    const { groups } = await delegate(FIRST, new MemoryStore(), 1)
    const delegation = await name(FIRST)
    const other = bytes32(2)
    base = baseWith([delegation, { ...delegation, group: other }])
    const ask = asking(joined)
    assert.equal(await ask(clientSecret(1)), 'taken')
    assert.equal(await ask(clientSecret(1), { group: other }), 'entrustedFull')
    assert.equal(await ask(clientSecret(1)), 'taken')
    assert.equal((await groups()).length, 1)
    await delegates.stop()
  })

  it('gives nobody a key whom the state does not name', async () => {
    const { name, delegates } = await client()
    const { groups } = await delegate(FIRST)
    const delegation = await name(FIRST)
    base = baseWith([{ ...delegation, delegates: [SECOND], sequence: delegation.sequence + 1 }])
    delegates.epoch(base)
    await pass()
    assert.deepEqual(await groups(), [])
    await delegates.stop()
  })
})
