import { strict as assert } from 'node:assert'
import {
  anchorPart,
  Bought,
  boughtSigningRoot,
  COVERAGE,
  CoverageState,
  type CoverageState as CoverageStateValue,
  coverage,
  Delivered,
  type Deposit,
  decode,
  deliveredSigningRoot,
  type EpochBase,
  ed25519,
  emptyCoverageState,
  emptyState,
  genesisCheckpoint,
  hex,
  type Kind,
  type KnownMessages,
  MessageSet,
  MessageType,
  messageId,
  PacketReceipt,
  type PaidService,
  plainVerifier,
  ppm,
  type Settlement,
  State,
  serviceOf,
  settle,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import fc from 'fast-check'
import { baseOf, bytes32, entryOf } from './network.ts'

const kind = coverage as unknown as Kind<unknown>
const rule = coverage.messages.find(({ type }) => type === MessageType.receipt)
const EPOCH = 8
const GATEWAYS = 6
/** At this price a packet costs ten units, so that sums can be read. */
const profile = { ...TESTNET_PROFILE, packetPrice: 10n, weights: { 2: 1 } }
const NOTHING: KnownMessages = new MessageSet()

const secretOf = (server: number): Uint8Array => bytes32(server, 40)
const keyOf = (server: number): Uint8Array => ed25519.publicKey(secretOf(server))
const accountOf = (server: number): Uint8Array => bytes32(server, 41).slice(0, 20)

interface Scene {
  bought?: Bought[]
  service?: PaidService[]
  /** Deposits of servers 1, 2, ... */
  amounts?: bigint[]
  epoch?: number
  burnMatch?: bigint
}

function scene(init: Scene = {}) {
  const { bought = [], service = [], amounts = [1_000n, 1_000n], epoch = EPOCH } = init
  const { burnMatch = profile.burnMatch } = init
  const deposits: Deposit[] = amounts.map((amount, at) => ({
    account: accountOf(at + 1),
    key: keyOf(at + 1),
    amount,
  }))
  const value: CoverageStateValue = { ...emptyCoverageState(), bought, service }
  const state = new State(emptyState([]).core, [kind], new Map([[COVERAGE, value]]))
  const registry = Array.from({ length: GATEWAYS }, (_, index) => entryOf(index))
  const base = baseOf({ epoch, profile: { ...profile, burnMatch }, registry, deposits, state })
  return { base, state, value }
}

interface Said {
  gateway?: number
  server?: number
  packets: bigint
}

function receiptOf(base: EpochBase, { gateway = 0, server = 1, packets }: Said): PacketReceipt {
  const root = boughtSigningRoot({ server: keyOf(server), gateway, packets }, base.network)
  return {
    epoch: base.epoch,
    base: base.tag,
    kind: COVERAGE,
    author: gateway,
    server: keyOf(server),
    packets,
    signature: ed25519.sign(root, secretOf(server)),
  }
}

function setOf(receipts: readonly PacketReceipt[]): MessageSet {
  const set = new MessageSet()
  for (const value of receipts) {
    const body = PacketReceipt.serialize(value)
    const envelope = { type: MessageType.receipt, body, signature: new Uint8Array(64) }
    const subject = `${value.author}/${rule?.subject(value)}`
    set.add({ id: messageId(envelope), value, envelope }, subject, COVERAGE)
  }
  return set
}

/** The whole epoch as the kernel settles it. */
function checkpoint({ base, state }: ReturnType<typeof scene>, said: readonly Said[]): Settlement {
  const root = new Uint8Array(32)
  return settle({
    base,
    kinds: [kind],
    set: setOf(said.map(receipt => receiptOf(base, receipt))),
    parent: {
      root,
      checkpoint: genesisCheckpoint({ kinds: [kind], state, committee: root, rulesVersion: 1 }),
      state,
    },
    voters: [],
    drawn: [],
    landed: [],
    nextCommittee: root,
  })
}

const duty = (base: EpochBase, said: Said) => rule?.duty(receiptOf(base, said), base, NOTHING)
const counted = (server: number, gateway: number, packets: bigint): Bought => {
  return { server: keyOf(server), gateway, packets }
}
const byServer = (a: Bought, b: Bought) =>
  Buffer.compare(a.server, b.server) || a.gateway - b.gateway

describe('a receipt for packets', () => {
  it('has known bytes, and a known root that the server signs', () => {
    const { base } = scene()
    const bought = { server: bytes32(1, 2), gateway: 3, packets: 2n ** 40n + 5n }
    assert.equal(
      hex(Bought.serialize(bought)),
      '0000000102020202020202020202020202020202020202020202020202020202030000000500000000010000',
    )
    // Computed with hashlib from the SSZ layouts.
    assert.equal(
      hex(boughtSigningRoot(bought, base.network)),
      '2906af1226b4abc3fee276ec9c919575fd802d949f0382c7c089424d820c7a7c',
    )
    const body = PacketReceipt.serialize({
      epoch: EPOCH,
      base: new Uint8Array(8).fill(1),
      kind: COVERAGE,
      author: 3,
      server: bought.server,
      packets: bought.packets,
      signature: new Uint8Array(64).fill(7),
    })
    assert.equal(body.length, 121)
    assert.equal(
      hex(messageId({ type: MessageType.receipt, body })),
      'c866f05e1f642cec8a14091e91e59b37d5f11637dcf962016c1df06be7a62bf3',
    )
  })

  it('is no receipt for bytes, nor the other way about', () => {
    const { base } = scene()
    const [server, gateway] = [keyOf(1), 0]
    const delivered = { client: server, provider: gateway, bytes: 5n }
    assert.deepEqual(
      Delivered.serialize(delivered),
      Bought.serialize({ server, gateway, packets: 5n }),
    )
    const root = deliveredSigningRoot(delivered, base.network)
    const signature = ed25519.sign(root, secretOf(1))
    const receipt = { ...receiptOf(base, { packets: 5n }), signature }
    assert.equal(rule?.verify?.(receipt, base, plainVerifier), false)
  })

  it('holds with its server’s signature of exactly these packets of this gateway', () => {
    const { base } = scene()
    const receipt = receiptOf(base, { packets: 10n })
    const holds = (change: Partial<PacketReceipt>) =>
      rule?.verify?.({ ...receipt, ...change } as PacketReceipt, base, plainVerifier)
    assert.equal(holds({}), true)
    assert.equal(holds({ packets: 11n }), false)
    assert.equal(holds({ author: 1 }), false, 'another gateway’s')
    assert.equal(holds({ server: keyOf(2) }), false)
    assert.equal(holds({ signature: new Uint8Array(64) }), false, 'nobody’s')
    const elsewhere = receiptOf({ ...base, network: bytes32(7) } as EpochBase, { packets: 10n })
    assert.equal(holds({ signature: elsewhere.signature }), false)
  })

  it('is what a gateway may say of a server that has a deposit', () => {
    const { base } = scene()
    assert.equal(duty(base, { packets: 10n }), 'yes')
    assert.equal(duty(base, { packets: 10n, server: 3 }), 'no')
    assert.equal(duty(base, { packets: 10n, gateway: GATEWAYS }), 'no')
    const disk = baseOf({ profile, registry: [entryOf(0, { kinds: 0b10 })], state: scene().state })
    assert.equal(duty(disk, { packets: 10n }), 'no')
  })

  it('claims more than the base has counted, and no more than the deposit covers there', () => {
    const { base } = scene({ bought: [counted(1, 0, 500n)] })
    assert.equal(duty(base, { packets: 499n }), 'no')
    assert.equal(duty(base, { packets: 500n }), 'no')
    assert.equal(duty(base, { packets: 501n }), 'yes')
    assert.equal(duty(base, { packets: 600n }), 'yes')
    assert.equal(duty(base, { packets: 601n }), 'no')
    assert.equal(duty(base, { packets: 100n, gateway: 1 }), 'yes')
    assert.equal(duty(base, { packets: 2n ** 64n - 1n }), 'no')
  })

  it('is one per gateway, server and epoch, in any slot', () => {
    const { base } = scene()
    const one = receiptOf(base, { packets: 10n })
    assert.equal(rule?.subject(one), rule?.subject(receiptOf(base, { packets: 11n })))
    assert.notEqual(rule?.subject(one), rule?.subject(receiptOf(base, { packets: 10n, server: 2 })))
    assert.deepEqual(rule?.window(one, base, NOTHING), [0, profile.slotsPerEpoch - 1])
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        try {
          assert.deepEqual(PacketReceipt.serialize(decode(PacketReceipt, bytes)), bytes)
        } catch (error) {
          assert.ok(error instanceof Error && 'code' in error)
        }
      }),
    )
  })
})

describe('packets bought', () => {
  it('are paid by the next checkpoint, less what is burned, and that is minted by the service pot', () => {
    const world = scene()
    const settled = checkpoint(world, [{ packets: 50n }, { packets: 30n, gateway: 2, server: 2 }])
    const [coverageResult] = settled.kinds
    assert.deepEqual([...(coverageResult?.served ?? [])].sort(), [
      [0, 500n],
      [2, 300n],
    ])
    assert.deepEqual([...(coverageResult?.earnings ?? [])].sort(), [
      [0, 450n + 50n],
      [2, 270n + 30n],
    ])
    const { emission, fees, payouts, burned, unminted } = settled.sums
    assert.deepEqual([fees, payouts, burned], [800n, 800n, 80n])
    assert.equal(unminted, emission - 80n)
    assert.equal(payouts + burned + unminted, emission + fees)
    const spent = settled.changes.filter(change => change.spent > 0n)
    assert.deepEqual(
      spent.map(({ account, spent: amount }) => [account, amount]).sort(),
      [
        [hex(accountOf(1)), 500n],
        [hex(accountOf(2)), 300n],
      ].sort(),
    )
  })

  it('cost one that buys of itself what is burned and not minted again: nothing at BURN_MATCH 1', () => {
    for (const burnMatch of [1_000_000n, 600_000n, 0n]) {
      const settled = checkpoint(scene({ burnMatch }), [{ packets: 100n }])
      const [gateway] = [...(settled.kinds[0]?.earnings.values() ?? [])]
      const burned = ppm(1_000n, profile.feeBurn)
      assert.equal(1_000n - (gateway ?? 0n), burned - ppm(burned, burnMatch))
    }
  })

  it('are paid once, however often their receipt is said', () => {
    const first = checkpoint(scene(), [{ packets: 50n }])
    const value = first.state.of(coverage)
    assert.deepEqual(value.bought, [counted(1, 0, 50n)])
    const again = scene(value)
    assert.equal(checkpoint(again, [{ packets: 50n }]).sums.fees, 0n)
    assert.equal(checkpoint(again, [{ packets: 20n }]).sums.fees, 0n, 'a lower one')
    assert.equal(checkpoint(again, [{ packets: 51n }]).sums.fees, 10n)
  })

  it('are paid as far as the deposit goes, and the rest when there is more', () => {
    const world = scene({ amounts: [505n] })
    const settled = checkpoint(world, [{ packets: 40n }, { packets: 40n, gateway: 1 }])
    assert.equal(settled.sums.fees, 500n)
    const { bought } = settled.state.of(coverage)
    assert.deepEqual(bought, [counted(1, 0, 40n), counted(1, 1, 10n)])
    const later = checkpoint(scene({ bought, amounts: [1_000n] }), [{ packets: 40n, gateway: 1 }])
    assert.equal(later.sums.fees, 300n)
  })

  it('of two receipts for one server in an epoch count by neither', () => {
    const settled = checkpoint(scene(), [{ packets: 40n }, { packets: 41n }])
    assert.equal(settled.sums.fees, 0n)
    assert.deepEqual(settled.penalties, [], 'and cost no bond: the server signed both')
  })

  it('never move more than there is, and count what they move, whatever was said', () => {
    const anySaid = fc.record({
      gateway: fc.nat(GATEWAYS - 1),
      server: fc.integer({ min: 1, max: 3 }),
      packets: fc.bigInt({ min: 0n, max: 200n }),
    })
    fc.assert(
      fc.property(
        fc.uniqueArray(anySaid, {
          maxLength: 12,
          selector: said => `${said.gateway}/${said.server}`,
        }),
        fc.array(fc.bigInt({ min: 0n, max: 3_000n }), { minLength: 3, maxLength: 3 }),
        (said, amounts) => {
          const before = [counted(1, 0, 30n), counted(2, 1, 60n)].sort(byServer)
          const settled = checkpoint(scene({ amounts, bought: before }), said)
          const { sums } = settled
          assert.equal(sums.payouts + sums.burned + sums.unminted, sums.emission + sums.fees)
          for (const { account, spent } of settled.changes) {
            const server = [1, 2, 3].find(number => hex(accountOf(number)) === account)
            if (server !== undefined) assert.ok(spent <= (amounts[server - 1] as bigint))
          }
          const { bought, service } = settled.state.of(coverage)
          assert.deepEqual(bought, bought.toSorted(byServer))
          const total = (list: readonly { packets: bigint }[]) =>
            list.reduce((sum, { packets }) => sum + packets, 0n)
          assert.equal((total(bought) - total(before)) * profile.packetPrice, sums.fees)
          assert.equal(total(service), total(bought) - total(before))
          const other = checkpoint(scene({ amounts, bought: before }), said.toReversed())
          assert.deepEqual(
            CoverageState.serialize(other.state.of(coverage)),
            CoverageState.serialize(settled.state.of(coverage)),
          )
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('paid service', () => {
  const at = (epoch: number) => ({ epoch, profile })

  it('is carried in parts, by part and gateway', () => {
    const first = checkpoint(scene({ epoch: 8 }), [
      { packets: 7n, gateway: 3 },
      { packets: 5n, gateway: 1, server: 2 },
    ]).state.of(coverage)
    assert.deepEqual(first.service, [
      { part: 4, gateway: 1, packets: 5n },
      { part: 4, gateway: 3, packets: 7n },
    ])
    const more = checkpoint(scene({ ...first, epoch: 9 }), [{ packets: 9n, gateway: 3 }]).state.of(
      coverage,
    )
    assert.deepEqual(more.service.at(-1), { part: 4, gateway: 3, packets: 9n })
  })

  it('is forgotten a part at a time, when all of the part is too old', () => {
    const service = [{ part: anchorPart(8, profile), gateway: 3, packets: 7n }]
    const last = 8 + profile.anchorEpochs - 1
    assert.equal(serviceOf(service, at(last)).get(3), 7n)
    assert.equal(serviceOf(service, at(last + 1)).get(3), undefined)
    assert.equal(
      checkpoint(scene({ service, epoch: last }), []).state.of(coverage).service.length,
      1,
    )
    const later = checkpoint(scene({ service, epoch: last + 1 }), [])
    assert.equal(later.state.of(coverage).service.length, 0)
  })
})
