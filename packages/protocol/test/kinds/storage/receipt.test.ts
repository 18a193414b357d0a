import { strict as assert } from 'node:assert'
import {
  Delivered,
  decode,
  deliveredSigningRoot,
  type EpochBase,
  hex,
  introductionSigningRoot,
  MessageType,
  messageId,
  plainVerifier,
  Receipt,
  type Served,
  STORAGE,
  servedFee,
  servedTariff,
  storageKind,
  TESTNET_PROFILE,
  unitsFor,
} from '@cairn/protocol'
import fc from 'fast-check'
import {
  baseOf,
  bytes32,
  clientKey,
  dealOf,
  deposit,
  EPOCH,
  entryOf,
  type Message,
  message,
  NETWORK,
  NOTHING,
  receiptOf,
  registry,
  settleOf,
  signDeal,
  stateOf,
} from './world.ts'

const rule = storageKind.messages.find(({ type }) => type === MessageType.receipt)
const GIB = 2n ** 30n
/** At this price a byte costs a unit, so that sums can be read. */
const profile = { ...TESTNET_PROFILE, servedPrice: GIB, receiptBytes: 1 }

interface Scene {
  served?: Served[]
  amounts?: bigint[]
}

function scene({ served = [], amounts = [1_000n, 1_000n] }: Scene = {}): EpochBase {
  const deposits = amounts.map((amount, number) => deposit(number + 1, amount))
  return baseOf({ profile, deposits, state: stateOf([], [], { served }) })
}

const duty = (receipt: Receipt, base: EpochBase) => rule?.duty(receipt, base, NOTHING)
const said = (base: EpochBase, init: Parameters<typeof receiptOf>[1]): Message =>
  message(MessageType.receipt, receiptOf(base, init))
const counted = (client: number, provider: number, bytes: bigint): Served => {
  return { client: clientKey(client), provider, bytes }
}
const inOrder = (served: Served[]) =>
  served.toSorted((a, b) => (hex(a.client) < hex(b.client) ? -1 : 1) || a.provider - b.provider)

describe('a receipt', () => {
  it('has known bytes, and known roots that the client signs', () => {
    const delivered = { client: bytes32(1, 2), provider: 3, bytes: 2n ** 40n + 5n }
    assert.equal(
      hex(Delivered.serialize(delivered)),
      '0000000102020202020202020202020202020202020202020202020202020202030000000500000000010000',
    )
    assert.equal(
      hex(deliveredSigningRoot(delivered, NETWORK)),
      'a7c5890ac13682b35535f7ac6351d2a36af3d6ef0d255d62dc2de158945fe4d7',
    )
    const introduction = { client: bytes32(1, 2), provider: 3, peer: '12D3KooWexample' }
    assert.equal(
      hex(introductionSigningRoot(introduction, NETWORK)),
      '2a9116f0664c68397cdf16d4f247f37ee5de695817cefe5815ad0c141880a3f2',
    )
    const receipt: Receipt = {
      epoch: EPOCH,
      base: new Uint8Array(8).fill(1),
      kind: STORAGE,
      author: 3,
      client: delivered.client,
      bytes: delivered.bytes,
      signature: new Uint8Array(64).fill(7),
    }
    const body = Receipt.serialize(receipt)
    assert.equal(body.length, 121)
    assert.equal(
      hex(messageId({ type: MessageType.receipt, body })),
      '18d003785995603d1c546de1d159ee9f8111975738ab50e1dae765520ee1391f',
    )
  })

  it('holds with its client’s signature of exactly these bytes', () => {
    const base = scene()
    const receipt = receiptOf(base, { bytes: 10n })
    const holds = (change: Partial<Receipt>) =>
      rule?.verify?.({ ...receipt, ...change } as Receipt, base, plainVerifier)
    assert.equal(holds({}), true)
    assert.equal(holds({ bytes: 11n }), false)
    assert.equal(holds({ author: 1 }), false)
    assert.equal(holds({ client: clientKey(2) }), false)
    assert.equal(holds({ signature: signDeal(dealOf()).signature.slice(0, 64) }), false)
    const elsewhere = receiptOf({ ...base, network: bytes32(7) } as EpochBase, { bytes: 10n })
    assert.equal(holds({ signature: elsewhere.signature }), false)
  })

  it('is what a provider of storage may say of a client that has a deposit', () => {
    const base = scene()
    assert.equal(duty(receiptOf(base, { bytes: 10n }), base), 'yes')
    assert.equal(duty(receiptOf(base, { bytes: 10n, client: 3 }), base), 'no')
    assert.equal(duty(receiptOf(base, { bytes: 10n, author: 50 }), base), 'no')
    const radio = baseOf({ profile, registry: [entryOf(0, { kinds: 0b100 })] })
    assert.equal(duty(receiptOf(radio, { bytes: 10n }), radio), 'no')
  })

  it('claims more than the base has counted, and no more than the deposit covers there', () => {
    const base = scene({ served: [counted(1, 0, 500n)] })
    assert.equal(duty(receiptOf(base, { bytes: 500n }), base), 'no')
    assert.equal(duty(receiptOf(base, { bytes: 501n }), base), 'yes')
    assert.equal(duty(receiptOf(base, { bytes: 1_500n }), base), 'yes')
    assert.equal(duty(receiptOf(base, { bytes: 1_501n }), base), 'no')
    assert.equal(duty(receiptOf(base, { bytes: 1_000n, author: 1 }), base), 'yes')
    assert.equal(duty(receiptOf(base, { bytes: 2n ** 64n - 1n }), base), 'no')
  })

  it('claims no less than is worth a message', () => {
    const base = baseOf({ profile: { ...profile, receiptBytes: 50 }, deposits: [deposit(1, 90n)] })
    assert.equal(duty(receiptOf(base, { bytes: 50n }), base), 'yes')
    assert.equal(duty(receiptOf(base, { bytes: 49n }), base), 'no')
  })

  it('is one per provider, client and epoch, in any slot', () => {
    const base = scene()
    const one = receiptOf(base, { bytes: 10n })
    assert.equal(rule?.subject(one), rule?.subject(receiptOf(base, { bytes: 11n })))
    assert.notEqual(rule?.subject(one), rule?.subject(receiptOf(base, { bytes: 10n, client: 2 })))
    assert.deepEqual(rule?.window(one, base, NOTHING), [0, profile.slotsPerEpoch - 1])
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        for (const codec of [Receipt, Delivered]) {
          try {
            const value = decode(codec as typeof Receipt, bytes)
            assert.deepEqual((codec as typeof Receipt).serialize(value), bytes)
          } catch (error) {
            assert.match((error as { code: string }).code, /^bad(Length|Encoding)$/)
          }
        }
      }),
    )
  })
})

describe('settlement of receipts', () => {
  it('moves the price of what was not counted yet, which is served, and counts it', () => {
    const base = scene({ served: [counted(1, 0, 100n)] })
    const settled = settleOf({ base, messages: [said(base, { bytes: 350n })] })
    assert.deepEqual(settled.fees, [{ client: hex(clientKey(1)), node: 0, amount: 250n }])
    assert.deepEqual([...settled.served], [[0, 250n]])
    assert.deepEqual([...settled.proven], [], 'what is served proves nothing kept')
    assert.deepEqual(settled.state.served, [counted(1, 0, 350n)])
  })

  it('pays nothing twice, however often it is said', () => {
    const base = scene()
    const messages = [said(base, { bytes: 350n })]
    const { state } = settleOf({ base, messages })
    const again = settleOf({ base, state, messages })
    assert.deepEqual(again.fees, [])
    assert.deepEqual(again.state.served, state.served)
    const older = settleOf({ base, state, messages: [said(base, { bytes: 200n })] })
    assert.deepEqual(older.state.served, state.served)
  })

  it('counts neither of two receipts of one provider for one client', () => {
    const base = scene()
    const messages = [said(base, { bytes: 350n }), said(base, { bytes: 351n })]
    const settled = settleOf({ base, messages })
    assert.deepEqual(settled.fees, [])
    assert.deepEqual(settled.state.served, [])
  })

  it('keeps the counters of each client and provider apart, in order', () => {
    const base = scene()
    const messages = [
      said(base, { bytes: 30n, author: 5, client: 2 }),
      said(base, { bytes: 20n, author: 5 }),
      said(base, { bytes: 10n, author: 2 }),
    ]
    const { state, served } = settleOf({ base, messages })
    const expected = [counted(1, 2, 10n), counted(1, 5, 20n), counted(2, 5, 30n)]
    assert.deepEqual(
      state.served,
      expected.toSorted((a, b) =>
        hex(a.client) === hex(b.client)
          ? a.provider - b.provider
          : hex(a.client) < hex(b.client)
            ? -1
            : 1,
      ),
    )
    assert.deepEqual(
      [...served].sort(([a], [b]) => a - b),
      [
        [2, 10n],
        [5, 50n],
      ],
    )
  })

  it('comes after the fees of deals, and pays as far as the deposit goes', () => {
    const quotients = [{ provider: 0, answered: 1, asked: 1, epoch: EPOCH - 1 }]
    const deal = dealOf({ startEpoch: 1, pricePerEpoch: 100n })
    const base = baseOf({
      profile,
      state: stateOf([deal], quotients),
      deposits: [deposit(1, 1_000n)],
    })
    const messages = [said(base, { bytes: 600n }), said(base, { bytes: 600n, author: 1 })]
    const settled = settleOf({ base, messages })
    assert.deepEqual(
      settled.fees.map(({ node, amount }) => [node, amount]),
      [
        [0, 100n],
        [0, 600n],
        [1, 300n],
      ],
    )
    assert.deepEqual(settled.state.served, [counted(1, 0, 600n), counted(1, 1, 300n)])
    const left = settled.state.deals.length
    assert.equal(left, 1)
    const { state } = settleOf({
      base,
      messages: [...messages, message(MessageType.deal, dealOf({ nonce: 9n }))],
    })
    assert.equal(state.deals.length, 1, 'what is gone pays for no new deal')
  })

  it('never moves more than there is, and counts what it moved, whatever was said', () => {
    const anyReceipt = fc.record({
      author: fc.nat(5),
      client: fc.integer({ min: 1, max: 3 }),
      bytes: fc.bigInt({ min: 0n, max: 2n ** 40n }),
    })
    const anyServed = fc.uniqueArray(
      fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(5), fc.bigInt({ min: 1n, max: 2n ** 40n })),
      { selector: ([client, provider]) => `${client}/${provider}` },
    )
    fc.assert(
      fc.property(
        fc.array(anyReceipt, { maxLength: 20 }),
        anyServed,
        fc.bigInt({ min: 0n, max: 10n ** 15n }),
        (receipts, before, amount) => {
          const served = inOrder(
            before.map(([client, provider, bytes]) => counted(client, provider, bytes)),
          )
          const base = baseOf({
            registry: registry(8),
            state: stateOf([], [], { served }),
            deposits: [1, 2, 3].map(client => deposit(client, amount)),
          })
          const messages = receipts.map(receipt => said(base, receipt))
          const settled = settleOf({ base, messages })
          const spent = new Map<string, bigint>()
          for (const { client, amount: fee } of settled.fees) {
            assert.ok(fee > 0n)
            spent.set(client, (spent.get(client) ?? 0n) + fee)
          }
          for (const sum of spent.values()) assert.ok(sum <= amount)
          const bytesOf = (list: readonly Served[]) =>
            new Map(
              list.map(({ client, provider, bytes }) => [`${hex(client)}/${provider}`, bytes]),
            )
          const old = bytesOf(served)
          let moved = 0n
          for (const [key, bytes] of bytesOf(settled.state.served)) {
            const more = bytes - (old.get(key) ?? 0n)
            assert.ok(more >= 0n)
            moved += servedFee(more, base.profile)
          }
          assert.equal(
            moved,
            settled.fees.reduce((sum, { amount: fee }) => sum + fee, 0n),
          )
          assert.deepEqual(settled.state.served, inOrder([...settled.state.served]))
          assert.deepEqual(settleOf({ base, messages: messages.toReversed() }).state, settled.state)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('prices bytes so that an amount never pays for more than it is worth', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 24n }),
        fc.bigInt({ min: 1n, max: 10n ** 20n }),
        (amount, servedPrice) => {
          const fee = servedFee(unitsFor(amount, servedTariff({ servedPrice })), { servedPrice })
          assert.ok(fee <= amount)
        },
      ),
    )
  })
})
