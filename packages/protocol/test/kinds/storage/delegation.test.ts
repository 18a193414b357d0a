import { strict as assert } from 'node:assert'
import {
  DELEGATES_MAX,
  type Deal,
  Delegation,
  dealEnvelope,
  dealId,
  dealSigningRoot,
  decode,
  delegationEnvelope,
  delegationSigningRoot,
  type EpochBase,
  ed25519,
  hex,
  type Known,
  MessageType,
  messageId,
  plainVerifier,
  type StandingRule,
  storageKind,
} from '@cairn/protocol'
import fc from 'fast-check'
import {
  baseOf,
  bytes32,
  clientKey,
  clientSecret,
  dealOf,
  EPOCH,
  entryOf,
  message,
  NETWORK,
  nodeSecret,
  pieceOf,
  registry,
  settleOf,
  stateOf,
} from './world.ts'

const ruleOf = <V>(type: MessageType) =>
  storageKind.standing.find(rule => rule.type === type) as StandingRule<V>
const rule = ruleOf<Delegation>(MessageType.delegation)
const dealRule = ruleOf<Deal>(MessageType.deal)
const GROUP = dealOf().group

const delegation = (change: Partial<Delegation> = {}): Delegation => ({
  client: clientKey(1),
  group: GROUP,
  delegates: [5, 6],
  sequence: 1,
  ...change,
})

/** Providers 0 and 1 keep places 0 and 1 of the group. */
const held = (): Deal[] => [
  dealOf({ startEpoch: 1, place: 0, piece: pieceOf(1_000), pricePerEpoch: 100n }),
  dealOf({ startEpoch: 1, place: 1, provider: 1, piece: pieceOf(1_000), pricePerEpoch: 50n }),
]

function holding(delegations: Delegation[] = [], deals = held()): EpochBase {
  return baseOf({ state: stateOf(deals, [], { delegations }) })
}

const idOf = (value: Delegation) =>
  messageId({ type: MessageType.delegation, body: Delegation.serialize(value) })
const known = (value: Delegation): Known<Delegation> => ({ id: idOf(value), value })

interface VerifyInit {
  base?: EpochBase
  client?: number
  network?: Uint8Array
}

describe('a delegation', () => {
  const verify = (
    value: Delegation,
    { base = holding(), client = 1, network = NETWORK }: VerifyInit = {},
  ) => {
    const signature = ed25519.sign(delegationSigningRoot(value, network), clientSecret(client))
    return rule.verify(known(value), signature, base, plainVerifier)
  }

  it('has known bytes and a known id', () => {
    const value = { client: bytes32(1, 2), group: bytes32(3, 4), delegates: [7, 8], sequence: 9 }
    const { body, signature } = delegationEnvelope(value, new Uint8Array(64).fill(1))
    assert.equal(
      hex(body),
      '0000000102020202020202020202020202020202020202020202020202020202000000030404040404040404040404040404040404040404040404040404040448000000090000000700000008000000',
    )
    assert.equal(
      hex(idOf(value)),
      '115bd4501e291aae92ed7d743e90a7063601e78ad4a714d9856ae3d9d7296719',
    )
    assert.deepEqual(signature, new Uint8Array(64).fill(1))
  })

  it('is valid with its client’s signature, of delegates that the base knows, each once', () => {
    assert.equal(verify(delegation()), 'yes')
    assert.equal(verify(delegation({ delegates: [] })), 'yes')
    assert.equal(verify(delegation(), { client: 2 }), 'no')
    assert.equal(verify(delegation(), { network: bytes32(7) }), 'no')
    assert.equal(verify(delegation({ delegates: [5, 5] })), 'no')
    assert.equal(verify(delegation({ delegates: [5, 99] })), 'unknown')
    const most = Array.from({ length: DELEGATES_MAX }, (_, index) => index)
    assert.equal(verify(delegation({ delegates: most })), 'yes')
    const bytes = Delegation.serialize(delegation({ delegates: most }))
    assert.throws(() => decode(Delegation, Uint8Array.of(...bytes, 1, 0, 0, 0)), {
      code: 'badLength',
    })
  })

  it('is pending while the base carries a deal of the group, and none of as high a number', () => {
    const pending = (value: Delegation, base: EpochBase) => rule.pending(known(value), base)
    assert.equal(pending(delegation(), holding()), true)
    assert.equal(pending(delegation(), holding([], [])), false)
    assert.equal(pending(delegation({ group: bytes32(2, 9) }), holding()), false)
    assert.equal(pending(delegation({ client: clientKey(2) }), holding()), false)
    const base = holding([delegation({ sequence: 4 })])
    assert.equal(pending(delegation({ sequence: 4 }), base), false)
    assert.equal(pending(delegation({ sequence: 5, delegates: [] }), base), true)
    assert.equal(pending(delegation({ sequence: 0 }), holding()), false)
  })

  it('waits alone for its group', () => {
    const base = holding()
    const other = known(delegation({ group: bytes32(2, 9) }))
    assert.equal(rule.fits?.(known(delegation()), [other], base), true)
    const same = known(delegation({ sequence: 7 }))
    assert.equal(rule.fits?.(known(delegation()), [same], base), false)
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), bytes => {
        try {
          assert.deepEqual(Delegation.serialize(decode(Delegation, bytes)), bytes)
        } catch (error) {
          assert.match((error as { code: string }).code, /^bad(Length|Encoding)$/)
        }
      }),
    )
  })
})

describe('a deal that a delegate signs', () => {
  /** Puts place 2 of the group, which nobody keeps, with provider 2. */
  const missing = (change: Partial<Deal> = {}): Deal =>
    dealOf({ provider: 2, place: 2, piece: pieceOf(1_000), pricePerEpoch: 100n, ...change })

  function verify(deal: Deal, base: EpochBase, delegate = 6) {
    const root = dealSigningRoot(deal, NETWORK)
    const { signature } = dealEnvelope(deal, {
      client: ed25519.sign(root, nodeSecret(delegate)),
      provider: ed25519.sign(root, nodeSecret(deal.provider)),
    })
    return dealRule.verify({ id: dealId(deal), value: deal }, signature, base, plainVerifier)
  }

  const base = holding([delegation()])

  it('is valid for a place of the group that is missing', () => {
    assert.equal(verify(missing(), base), 'yes')
    assert.equal(verify(missing(), base, 5), 'yes')
  })

  it('is not, where nobody delegated it, or not any more', () => {
    assert.equal(verify(missing(), base, 4), 'unknown')
    assert.equal(verify(missing(), holding()), 'unknown')
    const ended = holding([delegation({ delegates: [], sequence: 2 })])
    assert.equal(verify(missing(), ended), 'unknown')
    assert.equal(verify(missing({ group: bytes32(2, 9) }), base), 'unknown')
    assert.equal(verify(missing({ client: clientKey(2) }), base), 'unknown')
  })

  it('costs no more, is no larger, and ends no later, than what the client agreed to', () => {
    assert.equal(verify(missing({ pricePerEpoch: 101n }), base), 'unknown')
    assert.equal(verify(missing({ piece: pieceOf(1_001) }), base), 'unknown')
    assert.equal(verify(missing({ endEpoch: EPOCH + 101 }), base), 'unknown')
    assert.equal(verify(missing({ pricePerEpoch: 1n, endEpoch: EPOCH + 50 }), base), 'yes')
  })

  it('puts nothing twice, and nothing where no place is', () => {
    assert.equal(verify(missing({ place: 1 }), base), 'unknown')
    assert.equal(verify(missing({ place: 255 }), base), 'yes')
    assert.equal(verify(missing({ place: 256 }), base), 'unknown')
  })

  it('is with no operator of a delegate', () => {
    assert.equal(verify(missing({ provider: 5 }), base, 6), 'unknown')
    const entries = registry(8).map(entry =>
      entry.index === 2 ? { ...entry, operator: entryOf(5).operator } : entry,
    )
    const friends = baseOf({
      registry: entries,
      state: stateOf(held(), [], { delegations: [delegation()] }),
    })
    assert.equal(verify(missing(), friends), 'unknown')
  })
})

describe('settlement of delegations', () => {
  const say = (value: Delegation) => message(MessageType.delegation, value)
  const settled = (base: EpochBase, ...said: Delegation[]) =>
    settleOf({ base, messages: said.map(say) })

  it('carries the one with the highest number, until none of its group’s deals go on', () => {
    const one = delegation()
    const two = delegation({ sequence: 2, delegates: [7] })
    assert.deepEqual(settled(holding(), one).state.delegations, [one])
    assert.deepEqual(settled(holding([two]), one).state.delegations, [two])
    assert.deepEqual(settled(holding([one]), two).state.delegations, [two])
    const none = delegation({ sequence: 3, delegates: [] })
    assert.deepEqual(settled(holding([two]), none).state.delegations, [none], 'none is said too')
    const last = held().map(deal => ({ ...deal, endEpoch: EPOCH + 1 }))
    assert.deepEqual(settled(holding([two], last)).state.delegations, [])
  })

  it('takes the lower id of two with one number, in any order', () => {
    const two = [delegation(), delegation({ delegates: [7] })]
    const [lower] = two.toSorted((a, b) => (hex(idOf(a)) < hex(idOf(b)) ? -1 : 1))
    assert.deepEqual(settled(holding(), ...two).state.delegations, [lower])
    assert.deepEqual(settled(holding(), ...two.toReversed()).state.delegations, [lower])
  })

  it('keeps those of clients and groups apart, in order', () => {
    const other = bytes32(0, 9)
    const deals = [...held(), dealOf({ startEpoch: 1, group: other, nonce: 7n })]
    const both = [delegation(), delegation({ group: other })]
    const { state } = settled(holding([], deals), ...both)
    assert.deepEqual(
      state.delegations.map(({ group }) => hex(group)),
      [hex(other), hex(GROUP)],
    )
  })

  it('fills a place once, however many deals for it are signed before a base shows one', () => {
    const at = (change: Partial<Deal>) => dealOf({ place: 3, startEpoch: EPOCH + 2, ...change })
    const one = at({ provider: 2, nonce: 31n })
    const two = at({ provider: 3, nonce: 32n })
    const { endEpoch } = one
    const after = at({ provider: 2, startEpoch: endEpoch, endEpoch: endEpoch + 50, nonce: 33n })
    const next = at({ provider: 2, place: 4, nonce: 34n })
    const said = [one, two, after, next].map(deal => message(MessageType.deal, deal))
    const base = holding([delegation()])
    const { state } = settleOf({ base, messages: said })
    const placed = (deals: readonly Deal[]) => deals.map(({ nonce }) => nonce).sort()
    const [first] = [one, two].toSorted((a, b) => (hex(dealId(a)) < hex(dealId(b)) ? -1 : 1))
    assert.ok(first)
    assert.deepEqual(placed(state.deals), placed([...held(), first, after, next]))
    const again = settleOf({ base, state, messages: said })
    assert.deepEqual(placed(again.state.deals), placed(state.deals), 'nor in the next epoch')
    const own = settleOf({ base: holding(), messages: said }).state.deals
    assert.equal(own.length, 6, 'a client without delegates knows what it signs')
  })

  it('ends the group’s deals with operators of delegates, and begins none there', () => {
    const other = dealOf({ startEpoch: 1, provider: 5, group: bytes32(2, 9), nonce: 3n })
    const own = dealOf({ startEpoch: 1, provider: 5, place: 2, nonce: 4n })
    const base = holding([], [...held(), own, other])
    const begins = message(MessageType.deal, dealOf({ provider: 6, place: 3, nonce: 5n }))
    const { state, ended, findings } = settleOf({ base, messages: [say(delegation()), begins] })
    assert.deepEqual(
      ended.map(({ deal, reason }) => [deal.nonce, reason]),
      [[4n, 'delegate']],
    )
    assert.equal(state.deals.length, 3, 'two of the group, and one of another')
    assert.ok(state.deals.some(({ nonce }) => nonce === 3n))
    const told = findings?.find(
      ({ code, facts }) => code === 'ended' && facts.reason === 'delegate',
    )
    assert.equal(told?.node, 5)
    const [later] = settleOf({
      base: holding([delegation()], [...held(), own]),
      messages: [],
    }).ended
    assert.equal(later?.reason, 'delegate', 'also of a delegation from before')
  })
})
