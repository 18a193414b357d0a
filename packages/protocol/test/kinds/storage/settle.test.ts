import { strict as assert } from 'node:assert'
import {
  type Attestation,
  type Deal,
  dealId,
  dealsRoot,
  type EpochBase,
  hex,
  ListDepth,
  listRoot,
  MessageType,
  NO_DIGEST,
  STORAGE,
  StorageReason,
  StorageState,
  storageEvidence,
  storageKind,
  Verdict,
} from '@cairn/protocol'
import fc from 'fast-check'
import {
  ALL_PLACES,
  type Asked,
  answerOf,
  attestationOf,
  baseOf,
  bytes32,
  challengeOf,
  clientKey,
  dealOf,
  deposit,
  EPOCH,
  type Message,
  message,
  pieceOf,
  registry,
  sawOf,
  sawWrongOf,
  sealOf,
  settleOf,
  stateOf,
} from './world.ts'

const verifiersOf = (base: EpochBase, target = 0) => base.duty(STORAGE, target).verifiers
const { challenge, attestation, seal, deal, dealEnd } = MessageType

interface Scene {
  missing?: number[]
  /** How many of the verifiers attest; the others are silent. */
  attesting?: number
  /** Changes what a verifier attests, by its place in the duty. */
  change?: (attestation: Attestation, place: number) => Attestation
  sealed?: boolean
  order?: number
  target?: number
}

/** One challenge, everything that was said of it, in a set. */
function scene(base: EpochBase, init: Scene = {}): { asked: Asked; messages: Message[] } {
  const { missing = [], attesting, change = same, sealed = true, order = 0, target = 0 } = init
  const asked = challengeOf(base, target, order)
  const proof = answerOf(asked.question, { missing })
  const own = sealOf(base, asked, proof)
  const right = proof.flatMap((answer, place) => (answer.length > 0 ? [place] : []))
  const said = verifiersOf(base, target)
    .slice(0, attesting)
    .map((author, place) => change(sawOf(base, asked, author, { seal: own.seal, right }), place))
  const messages = [
    message(challenge, asked.value),
    ...said.map(value => message(attestation, value)),
    ...(sealed ? [message(seal, own.seal)] : []),
  ]
  return { asked, messages }
}

const same = (value: Attestation) => value

function unreachable(base: EpochBase, asked: Asked, author: number): Attestation {
  return attestationOf(base, asked, author, {
    verdict: Verdict.inconclusive,
    reason: StorageReason.unreachable,
    evidence: storageEvidence(NO_DIGEST, []),
  })
}

const oneDeal = () => baseOf({ state: stateOf([dealOf({ startEpoch: EPOCH - 1 })]) })

/** Two deals of one provider, at 100 and at 7: what is missing of the second costs the first, too. */
const twoDeals = () => {
  const small = { piece: pieceOf(900, 2), pricePerEpoch: 7n, nonce: 2n }
  return baseOf({ state: stateOf([dealOf(), dealOf(small)]) })
}

/** The first places that ask a leaf of the deal at this price. */
function placesOf(base: EpochBase, price: bigint, count: number, order = 0): number[] {
  const places = challengeOf(base, 0, order).question.flatMap(({ deal: { deal } }, place) =>
    deal.pricePerEpoch === price ? [place] : [],
  )
  assert.ok(places.length >= count)
  return places.slice(0, count)
}

describe('settlement of storage: verdicts', () => {
  it('passes what more than half of the assigned verifiers found right', () => {
    const base = oneDeal()
    const verifiers = verifiersOf(base)
    const half = Math.floor(verifiers.length / 2)
    const [verdict] = settleOf({ base, ...scene(base, { attesting: half + 1 }) }).verdicts
    assert.equal(verdict?.verdict, Verdict.pass)
    assert.equal(verdict?.reason, 'ok')
    assert.deepEqual(
      verdict?.agreeing,
      verifiers.slice(0, half + 1).toSorted((a, b) => a - b),
    )
    assert.equal(verdict?.facts.answered, 20)
  })

  it('does not pass by half of them', () => {
    const base = oneDeal()
    const half = verifiersOf(base).length / 2
    const { asked } = scene(base)
    const { messages } = scene(base, {
      change: (value, place) => (place < half ? value : unreachable(base, asked, value.author)),
    })
    const [verdict] = settleOf({ base, messages }).verdicts
    assert.equal(verdict?.facts.passed, half)
    assert.equal(verdict?.verdict, Verdict.inconclusive)
    assert.equal(verdict?.reason, 'unreachable')
  })

  it('does not pass when the others are silent', () => {
    const base = oneDeal()
    const half = verifiersOf(base).length / 2
    const [verdict] = settleOf({ base, ...scene(base, { attesting: half }) }).verdicts
    assert.equal(verdict?.verdict, Verdict.inconclusive)
    assert.deepEqual(verdict?.agreeing, [])
  })

  it('counts no pass without the seal in the set', () => {
    const base = oneDeal()
    const settled = settleOf({ base, ...scene(base, { sealed: false }) })
    assert.equal(settled.verdicts[0]?.verdict, Verdict.inconclusive)
    assert.equal(settled.verdicts[0]?.reason, 'noSeal')
    assert.deepEqual(settled.fees, [])
  })

  it('counts no pass of one who copied another’s digest', () => {
    const base = oneDeal()
    const [first] = verifiersOf(base)
    const copied = scene(base).messages.find(
      ({ value }) => (value as Attestation).author === first && 'verdict' in (value as object),
    )?.value as Attestation
    const { messages } = scene(base, {
      change: (value, place) => (place === 0 ? value : { ...value, evidence: copied.evidence }),
    })
    const [verdict] = settleOf({ base, messages }).verdicts
    assert.equal(verdict?.verdict, Verdict.inconclusive)
    assert.equal(verdict?.reason, 'noMajority')
  })

  it('is inconclusive, and asks nothing, when the challenge came late', () => {
    const base = oneDeal()
    const settled = settleOf({
      base,
      ...scene(base, { change: value => ({ ...value, seenSlot: 9 }) }),
    })
    assert.equal(settled.verdicts[0]?.verdict, Verdict.inconclusive)
    assert.equal(settled.verdicts[0]?.reason, 'late')
    assert.deepEqual(settled.state.quotients, [])
    assert.deepEqual(settled.fees, [])
  })

  it('gives the reason that most of those give who found it inconclusive', () => {
    const base = oneDeal()
    const { asked, messages } = scene(base, { attesting: 0, sealed: false })
    const said = verifiersOf(base).map(author => unreachable(base, asked, author))
    const settled = settleOf({
      base,
      messages: [...messages, ...said.map(value => message(attestation, value))],
    })
    assert.equal(settled.verdicts[0]?.reason, 'unreachable')
    assert.equal(settled.verdicts[0]?.agreeing.length, verifiersOf(base).length)
    assert.deepEqual(settled.state.quotients, [
      { provider: 0, answered: 0, asked: 20, epoch: EPOCH },
    ])
  })

  const fails = (sealedWrong: number, honestSay: 'pass' | 'fail' = 'pass') => {
    const base = oneDeal()
    const asked = challengeOf(base, 0)
    const lie = answerOf(asked.question, { wrong: [4] })
    const own = sealOf(base, asked, lie)
    const verifiers = verifiersOf(base)
    const said = verifiers.map((author, place) => {
      if (place > 0 && honestSay === 'pass') return sawOf(base, asked, author, { seal: own.seal })
      return sawWrongOf(base, asked, author, { proof: lie, sealed: own, place: sealedWrong })
    })
    const messages = [
      message(challenge, asked.value),
      message(seal, own.seal),
      ...said.map(value => message(attestation, value)),
    ]
    return { base, verifiers, settled: settleOf({ base, messages }) }
  }

  it('fails by one sealed wrong leaf against any majority', () => {
    const { verifiers, settled } = fails(4)
    assert.equal(settled.verdicts[0]?.verdict, Verdict.fail)
    assert.equal(settled.verdicts[0]?.reason, 'wrongLeaf')
    assert.equal(settled.verdicts[0]?.facts.place, 4)
    assert.deepEqual(settled.verdicts[0]?.agreeing, [verifiers[0]])
  })

  it('never fails by opinions alone', () => {
    const { settled } = fails(5, 'fail')
    assert.equal(settled.verdicts[0]?.verdict, Verdict.inconclusive)
    assert.deepEqual(settled.verdicts[0]?.agreeing, [])
  })
})

describe('settlement of storage: fees', () => {
  it('pays the price for what was answered of what was asked', () => {
    const base = twoDeals()
    const settled = settleOf({ base, ...scene(base, { missing: placesOf(base, 7n, 5) }) })
    assert.equal(settled.verdicts[0]?.reason, 'leafMissing')
    assert.deepEqual(settled.fees, [{ client: hex(clientKey(1)), node: 0, amount: 75n }])
    assert.deepEqual([...settled.proven], [[0, 75n]])
    assert.equal(settled.provenIsFees, true)
    assert.equal(settled.served.size, 0)
  })

  it('adds up the challenges of one provider', () => {
    const base = twoDeals()
    const missing = placesOf(base, 7n, 2, 1)
    const both = [scene(base), scene(base, { missing, order: 1 })]
    const settled = settleOf({ base, messages: both.flatMap(({ messages }) => messages) })
    assert.deepEqual(settled.state.quotients, [
      { provider: 0, answered: 38, asked: 40, epoch: EPOCH },
    ])
    assert.equal(settled.fees[0]?.amount, 95n)
  })

  it('counts a leaf that more than half of the assigned found right, whoever they are', () => {
    const base = oneDeal()
    const count = verifiersOf(base).length
    // Each verifier misses another leaf: none of the twenty is missed by more than one.
    assert.ok(count >= 3)
    const asked = challengeOf(base, 0)
    const own = sealOf(base, asked, answerOf(asked.question))
    const said = verifiersOf(base).map((author, missed) => {
      const right = [...Array(20).keys()].filter(place => place !== missed)
      return message(attestation, sawOf(base, asked, author, { seal: own.seal, right }))
    })
    const messages = [message(challenge, asked.value), message(seal, own.seal), ...said]
    const settled = settleOf({ base, messages })
    assert.equal(settled.verdicts[0]?.verdict, Verdict.inconclusive)
    assert.equal(settled.fees[0]?.amount, 100n)
  })

  it('does not count a leaf that only half of them found right', () => {
    const base = twoDeals()
    const half = verifiersOf(base).length / 2
    const [contested] = placesOf(base, 7n, 1)
    const asked = challengeOf(base, 0)
    const own = sealOf(base, asked, answerOf(asked.question))
    const said = verifiersOf(base).map((author, i) => {
      const right = ALL_PLACES.filter(place => place !== contested || i < half)
      return message(attestation, sawOf(base, asked, author, { seal: own.seal, right }))
    })
    const messages = [message(challenge, asked.value), message(seal, own.seal), ...said]
    assert.equal(settleOf({ base, messages }).fees[0]?.amount, 95n)
  })

  it('pays nothing for an epoch in which the deal is not live', () => {
    const quotients = [{ provider: 0, answered: 1, asked: 1, epoch: EPOCH - 1 }]
    const early = dealOf({ startEpoch: EPOCH + 1 })
    const late = dealOf({ startEpoch: 1, endEpoch: EPOCH })
    const base = baseOf({ state: stateOf([early, late], quotients) })
    assert.deepEqual(settleOf({ base, messages: [] }).fees, [])
  })

  it('holds the last quotient for as long as it is carried, without a challenge', () => {
    const { carryEpochs } = baseOf().profile
    const feeAfter = (epochs: number) => {
      const last = { provider: 0, answered: 10, asked: 40, epoch: EPOCH - epochs }
      const base = baseOf({ state: stateOf([dealOf({ startEpoch: 1 })], [last]) })
      return settleOf({ base, messages: [] })
    }
    assert.equal(feeAfter(1).fees[0]?.amount, 25n)
    assert.equal(feeAfter(carryEpochs).fees[0]?.amount, 25n)
    assert.deepEqual(feeAfter(carryEpochs + 1).fees, [])
    assert.deepEqual(feeAfter(carryEpochs + 1).state.quotients, [])
  })

  it('pays nothing to a new provider that was never asked, nor to one that left', () => {
    const base = oneDeal()
    assert.deepEqual(settleOf({ base, messages: [] }).fees, [])
    const state = stateOf(
      [dealOf({ provider: 50, startEpoch: 1 })],
      [{ provider: 50, answered: 1, asked: 1, epoch: EPOCH - 1 }],
    )
    const settled = settleOf({ base: baseOf({ state }), messages: [] })
    assert.deepEqual(settled.fees, [])
    assert.equal(settled.state.deals.length, 1)
  })

  it('charges deals in order of id and ends the first that is not covered', () => {
    const deals = [1n, 2n, 3n, 4n].map(nonce => dealOf({ nonce, startEpoch: 1 }))
    const quotients = [{ provider: 0, answered: 1, asked: 1, epoch: EPOCH - 1 }]
    const state = stateOf(deals, quotients)
    const base = baseOf({ state, deposits: [deposit(1, 250n)] })
    const settled = settleOf({ base, messages: [] })
    assert.equal(settled.fees.length, 2)
    assert.deepEqual(
      settled.ended.map(({ deal: ended, reason }) => [ended.nonce, reason]),
      [[state.deals[2]?.nonce, 'uncovered']],
    )
    assert.deepEqual(settled.state.deals, [state.deals[0], state.deals[1], state.deals[3]])
  })

  it('ends every deal that is not covered of a client that asks its deposit back', () => {
    const deals = [1n, 2n, 3n, 4n].map(nonce => dealOf({ nonce, startEpoch: 1 }))
    const quotients = [{ provider: 0, answered: 1, asked: 1, epoch: EPOCH - 1 }]
    const state = stateOf(deals, quotients)
    const asked = { ...deposit(1, 150n), requested: 1n }
    const settled = settleOf({ base: baseOf({ state, deposits: [asked] }), messages: [] })
    assert.equal(settled.fees.length, 1)
    assert.deepEqual(
      settled.ended.map(({ deal: ended, reason }) => [ended.nonce, reason]),
      state.deals.slice(1).map(({ nonce }) => [nonce, 'uncovered']),
    )
    assert.deepEqual(settled.state.deals, [state.deals[0]])
  })

  it('does not let one client’s empty deposit touch another’s deals', () => {
    const deals = [dealOf({ startEpoch: 1 }), dealOf({ client: clientKey(2), startEpoch: 1 })]
    const quotients = [{ provider: 0, answered: 1, asked: 1, epoch: EPOCH - 1 }]
    const base = baseOf({ state: stateOf(deals, quotients), deposits: [deposit(2, 100n)] })
    const settled = settleOf({ base, messages: [] })
    assert.deepEqual(settled.fees, [{ client: hex(clientKey(2)), node: 0, amount: 100n }])
    assert.equal(settled.ended.length, 1)
  })
})

describe('settlement of storage: deals', () => {
  it('takes in a new deal, which is charged once a base holds it', () => {
    const base = baseOf({
      state: stateOf([], [{ provider: 0, answered: 1, asked: 1, epoch: EPOCH - 1 }]),
    })
    const settled = settleOf({ base, messages: [message(deal, dealOf())] })
    assert.deepEqual(settled.state.deals, [dealOf()])
    assert.deepEqual(settled.fees, [])
  })

  it('takes in no deal twice, nor one that ended before', () => {
    const again = dealOf()
    const carried = settleOf({
      base: baseOf(),
      state: stateOf([again]),
      messages: [message(deal, again)],
    })
    assert.equal(carried.state.deals.length, 1)
    const past = dealOf({ startEpoch: EPOCH - 1 })
    const settled = settleOf({ base: baseOf(), messages: [message(deal, past)] })
    assert.equal(settled.state.deals.length, 0)
  })

  it('takes in no more deals than the deposit covers for their least duration', () => {
    const deals = [1n, 2n, 3n].map(nonce => message(deal, dealOf({ nonce })))
    const base = baseOf({ deposits: [deposit(1, 850n)] })
    assert.equal(settleOf({ base, messages: deals }).state.deals.length, 2)
  })

  it('lets go of a deal after its last epoch', () => {
    const ending = dealOf({ startEpoch: 1, endEpoch: EPOCH + 1 })
    const going = dealOf({ startEpoch: 1, endEpoch: EPOCH + 2 })
    const settled = settleOf({ base: baseOf({ state: stateOf([ending, going]) }), messages: [] })
    assert.deepEqual(settled.state.deals, [going])
    assert.deepEqual(
      settled.ended.map(({ reason }) => reason),
      ['expired'],
    )
  })

  it('ends a deal by agreement after charging it for the epoch', () => {
    const quotients = [{ provider: 0, answered: 1, asked: 1, epoch: EPOCH - 1 }]
    const [over, going] = [1n, 2n].map(nonce => dealOf({ nonce })) as [Deal, Deal]
    const base = baseOf({ state: stateOf([over, going], quotients) })
    const settled = settleOf({ base, messages: [message(dealEnd, { deal: dealId(over) })] })
    assert.equal(settled.fees.length, 2)
    assert.deepEqual(
      settled.ended.map(({ deal: ended, reason }) => [ended, reason]),
      [[over, 'agreed']],
    )
    assert.deepEqual(settled.state.deals, [going])
    assert.deepEqual(
      storageKind.dealsRoot?.(settled.state),
      dealsRoot(stateOf([going])),
      'nothing of it stays in the tree of deals',
    )
  })

  it('ends no deal that has not begun, nor one that the parent does not carry', () => {
    const coming = dealOf({ startEpoch: EPOCH + 1 })
    const base = baseOf({ state: stateOf([coming]) })
    const end = message(dealEnd, { deal: dealId(coming) })
    assert.deepEqual(settleOf({ base, messages: [end] }).state.deals, [coming])
    const late = settleOf({ base: baseOf(), messages: [message(deal, coming), end] })
    assert.deepEqual(late.state.deals, [coming])
    assert.deepEqual(late.ended, [])
  })

  it('never takes in again what ended by agreement', () => {
    const over = dealOf({ startEpoch: EPOCH })
    const messages = [message(deal, over), message(dealEnd, { deal: dealId(over) })]
    const first = settleOf({ base: baseOf({ state: stateOf([over]) }), messages })
    assert.deepEqual(first.state.deals, [])
    const next = settleOf({ base: baseOf({ epoch: EPOCH + 1 }), state: first.state, messages })
    assert.deepEqual(next.state.deals, [])
  })

  it('takes in the successor of a deal that runs out, though the deposit covers only one', () => {
    const old = dealOf({ startEpoch: 1, endEpoch: EPOCH + 3 })
    const next = dealOf({ startEpoch: EPOCH + 3 })
    const { minDealEpochs } = baseOf().profile
    const amount = (epochs: number) => BigInt(minDealEpochs + epochs) * 100n
    const carried = (left: bigint) =>
      settleOf({
        base: baseOf({ state: stateOf([old]), deposits: [deposit(1, left)] }),
        messages: [message(deal, next)],
      }).state.deals.length
    assert.equal(carried(amount(2)), 2)
    assert.equal(carried(amount(2) - 1n), 1)
  })

  it('charges no deal that the parent has ended since the base', () => {
    const quotients = [{ provider: 0, answered: 1, asked: 1, epoch: EPOCH - 1 }]
    const base = baseOf({ state: stateOf([dealOf({ startEpoch: 1 })], quotients) })
    const settled = settleOf({ base, state: stateOf([], quotients), messages: [] })
    assert.deepEqual(settled.fees, [])
  })
})

describe('settlement of storage: the whole', () => {
  it('is the same for messages in any order', () => {
    const deals = [0, 1, 2].flatMap(provider => [
      dealOf({ provider, startEpoch: 1 }),
      dealOf({ provider, startEpoch: 1, piece: pieceOf(900, 2), nonce: 2n }),
    ])
    const base = baseOf({ state: stateOf(deals), registry: registry(12) })
    const messages = [
      ...[0, 1, 2].flatMap(target => scene(base, { target, missing: [target] }).messages),
      ...scene(base, { target: 1, order: 1 }).messages,
      ...[1n, 2n, 3n].map(nonce => message(deal, dealOf({ nonce: 10n + nonce }))),
    ]
    const expected = settleOf({ base, messages })
    assert.equal(expected.fees.length, 3)
    assert.equal(expected.state.debts.length, 3)
    fc.assert(
      fc.property(fc.shuffledSubarray(messages, { minLength: messages.length }), shuffled => {
        assert.deepEqual(settleOf({ base, messages: shuffled }), expected)
      }),
      { numRuns: 30 },
    )
  })

  it('never charges more than is available, whatever was said', () => {
    const anyDeal = fc.record({
      provider: fc.nat(3),
      client: fc.integer({ min: 1, max: 3 }),
      pricePerEpoch: fc.bigInt({ min: 1n, max: 1_000n }),
      nonce: fc.bigInt({ min: 0n, max: 1_000_000n }),
    })
    const anyQuotient = fc.tuple(fc.nat(20), fc.integer({ min: 20, max: 60 }))
    fc.assert(
      fc.property(
        fc.array(anyDeal, { maxLength: 30 }),
        fc.array(anyQuotient, { maxLength: 4 }),
        fc.bigInt({ min: 0n, max: 3_000n }),
        (picked, parts, amount) => {
          const deals = new Map(
            picked.map(({ client, ...rest }) => {
              const value = dealOf({ ...rest, client: clientKey(client), startEpoch: 1 })
              return [`${client}/${rest.nonce}/${rest.provider}/${rest.pricePerEpoch}`, value]
            }),
          )
          const quotients = parts.map(([answered, asked], provider) => {
            return { provider, answered, asked, epoch: EPOCH - 1 }
          })
          const base = baseOf({ state: stateOf([...deals.values()], quotients) })
          const { fees, state, ended } = settleOf({ base, messages: [], available: () => amount })
          const spent = new Map<string, bigint>()
          for (const fee of fees) spent.set(fee.client, (spent.get(fee.client) ?? 0n) + fee.amount)
          for (const sum of spent.values()) assert.ok(sum <= amount)
          assert.equal(state.deals.length + ended.length, deals.size)
          assert.deepEqual(state, stateOf(state.deals, state.quotients))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('carries a state that comes back from its bytes, with a known root', () => {
    const piece = { root: bytes32(1, 4), payload: 1_000 }
    const state = stateOf(
      [dealOf({ piece }), dealOf({ piece, provider: 2 })],
      [{ provider: 0, answered: 3, asked: 20, epoch: 7 }],
      {
        debts: [{ deal: bytes32(1), leaf: 5, since: 6, again: 8, asked: 9 }],
        audits: [{ deal: bytes32(4), leaf: 6, since: 9 }],
        silent: [{ provider: 2, since: 6 }],
        contained: [{ deal: bytes32(2), since: 7 }],
        struck: [{ deal: bytes32(3), startEpoch: 12 }],
      },
    )
    assert.deepEqual(StorageState.deserialize(StorageState.serialize(state)), state)
    assert.equal(
      hex(storageKind.stateCodec.hashTreeRoot(state)),
      '3beadc7f4cc44a1054616072130c56f187c70365e93f593fe6ad4bff3d123252',
    )
    assert.equal(
      hex(dealsRoot(state)),
      'c9f189c44c75f72a30c723d828ebc073905101c320791bfba589d530adf1e588',
    )
  })

  it('has the empty tree of deals while there are none', () => {
    assert.deepEqual(dealsRoot(storageKind.emptyState()), listRoot([], ListDepth.deals))
  })
})
