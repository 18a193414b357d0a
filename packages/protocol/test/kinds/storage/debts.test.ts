import { strict as assert } from 'node:assert'
import {
  type Deal,
  type Debt,
  dealId,
  dealStanding,
  dealtLeaves,
  hex,
  inventoryOf,
  type KnownDeal,
  knownDeal,
  MessageType,
  obligationsOf,
  type Quotient,
  type StorageState,
  storageKind,
  storageQuestion,
  Verdict,
} from '@cairn/protocol'
import fc from 'fast-check'
import { type Answering, BASE_LAG, History, without } from './history.ts'
import {
  bytes32,
  challengeOf,
  clientKey,
  dealOf,
  EPOCH,
  message,
  registry,
  stateOf,
} from './world.ts'

const REPAIR = 3

/**
 * Deals of provider 0 at prices 1, 2, 4 and so on, each over a piece of its own: of so many leaves that
 * none is drawn twice here.
 */
function dealsOf(count: number, change: Partial<Deal> = {}): Deal[] {
  return Array.from({ length: count }, (_, i) =>
    dealOf({
      piece: { root: bytes32(i, 4), payload: 1_000_000 },
      pricePerEpoch: 2n ** BigInt(i),
      nonce: BigInt(i),
      ...change,
    }),
  )
}

const keyOf = (deal: Deal) => hex(dealId(deal))
const owed = (state: StorageState) => state.debts.map(({ deal }) => hex(deal)).sort()
const feesOf = ({ fees }: { fees: readonly { amount: bigint }[] }) =>
  fees.reduce((sum, { amount }) => sum + amount, 0n)
const found = (
  { findings = [] }: { findings?: readonly { code: string; facts: object }[] },
  code: string,
) => findings.filter(finding => finding.code === code).map(({ facts }) => facts)
const endings = (settled: { ended: readonly { deal: Deal; reason: string }[] }) =>
  settled.ended.map(({ deal, reason }) => [deal.nonce, reason])

describe('debts of a storage provider', () => {
  it('arise where a leaf is not answered, one per deal, and cost that deal its fee', () => {
    const deals = dealsOf(3)
    const [lost] = deals as [Deal]
    const history = new History({ deals })
    const settled = history.next({ answers: { 0: without(lost) } })
    assert.deepEqual(owed(settled.state), [keyOf(lost)])
    const [debt] = settled.state.debts as [Debt]
    assert.deepEqual(
      { since: debt.since, again: debt.again, asked: debt.asked },
      { since: EPOCH, again: 0, asked: EPOCH },
    )
    const [first] = challengeOf(new History({ deals }).base(), 0).question.filter(
      ({ deal }) => deal.key === keyOf(lost),
    )
    assert.equal(debt.leaf, first?.leaf)
    assert.equal(settled.fees.length, 2)
    assert.deepEqual(found(settled, 'debts'), [{ open: 1, opened: 1, answered: 0, oldest: EPOCH }])
  })

  it('arise from silence as from an answer that says missing', () => {
    const deals = dealsOf(2)
    const settled = new History({ deals }).next({ answers: { 0: 'away' } })
    assert.deepEqual(owed(settled.state), deals.map(keyOf).sort())
    assert.deepEqual(settled.fees, [])
    assert.deepEqual(settled.state.silent, [{ provider: 0, since: EPOCH }])
  })

  it('arise from no challenge that was late', () => {
    const late = { attest: (value: object) => ({ ...value, seenSlot: 10 }) as never }
    const settled = new History({ deals: dealsOf(2) }).next({ answers: { 0: 'away' }, ...late })
    assert.deepEqual(settled.state.debts, [])
    assert.deepEqual(settled.state.silent, [])
  })

  it('are asked again once a base holds them, and end with an answer', () => {
    const deals = dealsOf(2)
    const history = new History({ deals })
    history.next({ answers: { 0: 'away' } })
    history.next()
    const between = history.next()
    assert.equal(between.verdicts[0]?.facts.askedAgain, 0)
    assert.equal(between.state.debts.length, 2)
    assert.deepEqual(between.fees, [])
    const back = history.next()
    const again = back.verdicts.map(({ facts }) => [facts.askedAgain, facts.answeredAgain])
    assert.deepEqual(again, [
      [1, 1],
      [1, 1],
      [0, 0],
    ])
    assert.deepEqual(back.state.debts, [])
    assert.equal(feesOf(back), 3n)
    assert.deepEqual(found(back, 'debts'), [{ open: 0, opened: 0, answered: 2 }])
  })

  it('are not opened again by a base that still holds them', () => {
    const deals = dealsOf(2)
    const history = new History({ deals })
    history.next({ answers: { 0: 'away' } })
    history.run(BASE_LAG)
    const settled = history.next({
      answers: { 0: (_, { place }) => (place < 20 ? 'right' : 'missing') },
    })
    assert.ok(settled.verdicts.some(({ facts }) => facts.askedAgain === 1))
    assert.deepEqual(settled.state.debts, [])
    assert.equal(feesOf(settled), 3n)
  })

  it('pass a challenge whose new leaves are right', () => {
    const deals = dealsOf(2)
    const history = new History({ deals })
    history.run(BASE_LAG, { answers: { 0: 'away' } })
    const settled = history.next({
      answers: { 0: (_, { place }) => (place < 20 ? 'right' : 'missing') },
    })
    assert.deepEqual([...new Set(settled.verdicts.map(({ verdict }) => verdict))], [Verdict.pass])
    assert.equal(settled.state.quotients[0]?.answered, 60)
    assert.equal(settled.state.debts.length, 2)
    assert.deepEqual(settled.fees, [])
  })

  it('pay in the epoch that answers them, and not while a base cannot ask them yet', () => {
    const deals = dealsOf(4)
    const history = new History({ deals })
    const full = 1n + 2n + 4n + 8n
    const epochs = [{ 0: 'away' as const }, {}, {}, {}, {}]
    const fees = epochs.map(answers => feesOf(history.next({ answers })))
    assert.deepEqual(fees, [0n, 0n, 0n, full, full])
  })
})

describe('a piece that is lost', () => {
  const deals = dealsOf(4)
  const [lost] = deals as [Deal]

  /** Until the first epoch that asks the debt again. */
  function begun(): History {
    const history = new History({ deals })
    history.run(BASE_LAG + 1, { answers: { 0: without(lost) } })
    assert.equal(history.state.debts[0]?.again, EPOCH + BASE_LAG)
    return history
  }

  it('ends its deal, and no other, when the time for repair is over', () => {
    const history = begun()
    for (let epoch = 1; epoch < REPAIR; epoch++) {
      assert.deepEqual(history.next({ answers: { 0: without(lost) } }).ended, [])
    }
    const settled = history.next({ answers: { 0: without(lost) } })
    assert.deepEqual(endings(settled), [[lost.nonce, 'lost']])
    assert.deepEqual(settled.state.debts, [])
    assert.equal(settled.state.deals.length, 3)
    assert.deepEqual(found(settled, 'ended'), [
      { deal: keyOf(lost), client: hex(clientKey(1)), reason: 'lost' },
    ])
    // The base still asks the ended deal; that costs the quotient, and nothing else.
    const after = history.run(BASE_LAG + 1)
    assert.deepEqual(after.ended, [])
    assert.equal(feesOf(after), 2n + 4n + 8n)
  })

  it('is found again in the last epoch, and the deal goes on', () => {
    const history = begun()
    history.run(REPAIR - 1, { answers: { 0: without(lost) } })
    const settled = history.next()
    assert.deepEqual(settled.ended, [])
    assert.deepEqual(settled.state.debts, [])
  })

  it('is not lost in an epoch that does not ask it, however long that lasts', () => {
    const history = begun()
    // No challenger reveals: nobody can answer.
    const settled = history.run(3 * REPAIR, { orders: [] })
    assert.deepEqual(settled.ended, [])
    assert.deepEqual(endings(history.next({ answers: { 0: without(lost) } })), [
      [lost.nonce, 'lost'],
    ])
  })

  it('is named while it is withheld, which costs ten times its price in score', () => {
    const many = dealsOf(6)
    const history = new History({ deals: many })
    const answers = { 0: without(many[0] as Deal) }
    const settled = history.run(BASE_LAG + 2, { answers })
    const [quotient] = settled.state.quotients as [Quotient]
    assert.deepEqual(found(settled, 'withholding'), [
      { withheld: 1, answered: quotient.answered, asked: 61, scoreLost: '10' },
    ])
    assert.equal(settled.proven.get(0), feesOf(settled) - 10n)
  })

  it('costs no more score than there is', () => {
    const history = new History({ deals })
    const answers = { 0: without(deals[3] as Deal) }
    const settled = history.run(BASE_LAG + 2, { answers })
    assert.ok(feesOf(settled) > 0n && feesOf(settled) < 80n)
    assert.equal(settled.proven.has(0), false)
  })

  it('is not called withheld in the first epoch that asks it again, nor of one who is away', () => {
    const history = new History({ deals })
    history.run(BASE_LAG, { answers: { 0: without(lost) } })
    assert.deepEqual(found(history.next({ answers: { 0: without(lost) } }), 'withholding'), [])
    assert.deepEqual(found(history.next({ answers: { 0: 'away' } }), 'withholding'), [])
  })
})

describe('a provider that answers nothing', () => {
  it('is gone when the time for repair is over, and all its deals end', () => {
    const deals = [...dealsOf(30, { pricePerEpoch: 1n }), dealOf({ provider: 1, nonce: 99n })]
    const history = new History({ deals })
    const answers = { 0: 'away' as const }
    const before = history.run(BASE_LAG + REPAIR, { answers })
    assert.deepEqual(before.ended, [])
    assert.equal(before.state.silent[0]?.since, EPOCH)
    const another = message(MessageType.deal, dealOf({ nonce: 77n, startEpoch: history.epoch + 2 }))
    const settled = history.next({ answers, more: [another] })
    assert.equal(settled.ended.length, 30)
    assert.deepEqual(new Set(settled.ended.map(({ reason }) => reason)), new Set(['gone']))
    assert.deepEqual(
      settled.state.deals.map(({ provider }) => provider),
      [1],
    )
    assert.deepEqual(settled.state.debts, [])
    assert.deepEqual(settled.state.silent, [])
  })

  it('takes no deal up again that ended before it began, whoever kept it', () => {
    const begins = EPOCH + 20
    const coming = dealOf({ nonce: 88n, startEpoch: begins, endEpoch: begins + 90 })
    const history = new History({ deals: [...dealsOf(30), coming] })
    const gone = history.run(BASE_LAG + REPAIR + 1, { answers: { 0: 'away' } })
    assert.deepEqual(gone.state.deals, [])
    assert.deepEqual(gone.state.struck, [{ deal: dealId(coming), startEpoch: begins }])
    const again = message(MessageType.deal, coming)
    while (history.epoch <= begins) {
      assert.deepEqual(history.next({ more: [again] }).state.deals, [])
    }
    assert.deepEqual(history.state.struck, [], 'it could not begin any more')
    const [rule] = storageKind.standing
    assert.equal(rule?.type, MessageType.deal)
    const base = { ...history.base(), epoch: begins - 1 }
    const known = { id: dealId(coming), value: coming }
    const at = (state: StorageState) => ({
      ...base,
      state: () => state,
      available: () => 2n ** 90n,
    })
    assert.ok(rule?.pending(known, at(stateOf([])) as never))
    assert.ok(!rule?.pending(known, at(gone.state) as never))
  })

  it('is not gone when it answered one leaf meanwhile: it loses what it does not answer', () => {
    const deals = dealsOf(30, { pricePerEpoch: 1n })
    const history = new History({ deals })
    const answers = { 0: 'away' as const }
    history.run(BASE_LAG + 2, { answers })
    const one: Answering = (_, { place, order }) =>
      place === 0 && order === 0 ? 'right' : 'missing'
    history.next({ answers: { 0: one } })
    const settled = history.next({ answers })
    assert.ok(settled.ended.length > 0 && settled.ended.length < 30)
    assert.deepEqual(new Set(settled.ended.map(({ reason }) => reason)), new Set(['lost']))
  })

  it('that was away for two epochs keeps its deals, loses pay and nothing else', () => {
    const history = new History({ deals: dealsOf(4) })
    history.run(2, { answers: { 0: 'away' } })
    const settled = history.run(BASE_LAG + 2)
    assert.equal(settled.state.deals.length, 4)
    assert.deepEqual(settled.state.debts, [])
    assert.deepEqual(settled.penalties, [])
    assert.equal(feesOf(settled), 15n)
  })
})

describe('what a provider is told of its own debts', () => {
  const deals = [...dealsOf(3), dealOf({ provider: 1, nonce: 9n })]
  const of = (state: StorageState, provider = 0) =>
    obligationsOf(state, provider, { repairAfterEpochs: REPAIR, withheldWeight: 10 })

  const nothing = { withheld: 0, scoreLost: 0n, contained: 0 }

  it('is nothing while it owes nothing', () => {
    const none = { owed: 0, since: undefined, askedAgain: 0, until: undefined, ...nothing }
    assert.deepEqual(of(stateOf(deals)), none)
    const debts = [{ deal: dealId(deals[3] as Deal), leaf: 0, since: 1, again: 0, asked: 1 }]
    assert.deepEqual(of(stateOf(deals, [], { debts })), none)
  })

  it('is how many since when, and the epoch that ends the first deal if nothing is answered', () => {
    const history = new History({ deals })
    const answers = { 0: without(deals[1] as Deal) }
    history.next({ answers })
    assert.deepEqual(of(history.state), {
      owed: 1,
      since: EPOCH,
      askedAgain: 0,
      until: undefined,
      ...nothing,
    })
    history.run(BASE_LAG, { answers })
    const { until, askedAgain, withheld } = of(history.state)
    assert.deepEqual([askedAgain, withheld], [1, 0])
    while (history.epoch < (until as number)) assert.deepEqual(history.next({ answers }).ended, [])
    assert.equal(history.next({ answers }).ended.length, 1)
  })

  it('is what it withholds, and what settlement takes from its score for that', () => {
    const history = new History({ deals })
    const answers = { 0: without(deals[1] as Deal) }
    history.run(BASE_LAG + 1, { answers })
    assert.equal(of(history.state).withheld, 0)
    const settled = history.next({ answers })
    const [finding] = settled.findings?.filter(({ code }) => code === 'withholding') ?? []
    const { withheld, scoreLost } = of(history.state)
    assert.deepEqual([withheld, scoreLost > 0n], [1, true])
    assert.deepEqual(finding?.facts.scoreLost, String(scoreLost))
    const [deal] = deals.slice(1).map(knownDeal)
    const rules = { repairAfterEpochs: REPAIR }
    assert.deepEqual(dealStanding(history.state, deal as KnownDeal, rules), {
      owed: EPOCH,
      lostFrom: EPOCH + BASE_LAG + REPAIR,
      withheld: true,
      contained: false,
    })
  })

  it('is no withholding while it answers nobody', () => {
    const history = new History({ deals })
    history.run(BASE_LAG + 2, { answers: { 0: 'away' } })
    const { askedAgain, withheld, scoreLost } = of(history.state)
    assert.deepEqual([askedAgain > 0, withheld, scoreLost], [true, 0, 0n])
  })
})

describe('debts dealt to challengers', () => {
  const deals = Array.from({ length: 40 }, (_, i) =>
    dealOf({ piece: { root: bytes32(i, 4), payload: 900 + i }, nonce: BigInt(i) }),
  )
  const debtOf = (deal: Deal, since: number): Debt => ({
    deal: dealId(deal),
    leaf: 3,
    since,
    again: 0,
    asked: since,
  })
  const withDebts = (debts: Debt[]) => stateOf(deals, [], { debts })
  const dealt = (state: StorageState, order: number, most: number, challengers = 3) =>
    dealtLeaves(state, inventoryOf(state, 0, EPOCH), { order, challengers, most })

  it('go to them one by one, oldest first, each at most what the profile lets it ask', () => {
    const debts = deals.slice(0, 11).map((deal, i) => debtOf(deal, i))
    const state = withDebts(debts)
    const names = (order: number, most: number) =>
      dealt(state, order, most).map(({ deal }) => Number(deal.deal.nonce))
    assert.deepEqual(
      [0, 1, 2].map(order => names(order, 200)),
      [
        [0, 3, 6, 9],
        [1, 4, 7, 10],
        [2, 5, 8],
      ],
    )
    assert.deepEqual(
      [0, 1, 2].map(order => names(order, 2)),
      [
        [0, 3],
        [1, 4],
        [2, 5],
      ],
    )
  })

  it('are each asked once, of live deals only, and in an order that no list decides', () => {
    const some = fc.uniqueArray(fc.nat(39), { maxLength: 40 })
    fc.assert(
      fc.property(some, fc.integer({ min: 1, max: 3 }), fc.nat(50), (picked, challengers, most) => {
        const debts = picked.map(i => debtOf(deals[i] as Deal, i % 4))
        const ask = (list: Debt[]) =>
          Array.from({ length: challengers }, (_, order) =>
            dealt(withDebts(list), order, most, challengers),
          )
        const asked = ask(debts)
        assert.deepEqual(ask(debts.toReversed()), asked)
        const keys = asked.flat().map(({ deal }) => deal.key)
        assert.equal(new Set(keys).size, keys.length)
        assert.equal(keys.length, Math.min(debts.length, keys.length))
        for (const [order, list] of asked.entries()) {
          const share = Math.ceil((debts.length - order) / challengers)
          assert.equal(list.length, Math.min(most, Math.max(0, share)))
        }
      }),
    )
  })

  it('leave out deals that are over at the base', () => {
    const over = dealOf({ nonce: 500n, startEpoch: 1, endEpoch: EPOCH })
    const state = stateOf([...deals, over], [], { debts: [debtOf(over, 1)] })
    assert.deepEqual(dealt(state, 0, 200), [])
  })

  it('stand behind the new leaves in what a challenge asks', () => {
    const state = withDebts([debtOf(deals[5] as Deal, 1)])
    const history = new History({ deals })
    history.states.fill(state)
    const rest = history.base()
    const questions = [0, 1, 2].map(order =>
      storageQuestion(challengeOf(rest, 0, order).value, rest),
    )
    assert.deepEqual(
      questions.map(({ length }) => length),
      [21, 20, 20],
    )
    assert.deepEqual(questions[0]?.[20]?.deal.deal, deals[5])
    assert.equal(questions[0]?.[20]?.leaf, 3)
  })
})

describe('settlement of debts', () => {
  it('keeps its invariants, whatever providers answer and whichever challenges are heard', () => {
    const count = 6
    const deals = [
      ...dealsOf(count),
      ...dealsOf(3, { provider: 1 }).map(deal => ({ ...deal, nonce: deal.nonce + 50n })),
    ]
    const behaviour = fc.record({
      away: fc.boolean(),
      lost: fc.uniqueArray(fc.nat(count - 1), { maxLength: 2 }),
      orders: fc.subarray([0, 1, 2]),
    })
    fc.assert(
      fc.property(fc.array(behaviour, { minLength: 1, maxLength: 9 }), epochs => {
        const history = new History({ deals, nodes: registry(12) })
        for (const { away, lost, orders } of epochs) {
          const before = history.state
          const gone = lost.map(i => deals[i] as Deal)
          const settled = history.next({
            answers: { 0: away ? 'away' : without(...gone) },
            orders,
          })
          const { state } = settled
          const carried = new Set(state.deals.map(keyOf))
          assert.equal(state.deals.length + settled.ended.length, before.deals.length)
          assert.equal(new Set(owed(state)).size, state.debts.length)
          assert.deepEqual(
            state.debts.map(({ deal }) => hex(deal)),
            owed(state),
          )
          for (const { deal, since, again, asked } of state.debts) {
            assert.ok(carried.has(hex(deal)))
            assert.ok(since <= asked && asked < history.epoch)
            assert.ok(again === 0 || (since < again && again <= asked))
          }
          // Who answers everything it is asked owes nothing and loses nothing.
          assert.ok(settled.ended.every(({ deal }) => deal.provider === 0))
          assert.ok(settled.findings?.every(({ node }) => node === 0))
          for (const fee of settled.fees) assert.ok(fee.amount > 0n)
          assert.deepEqual(settled.penalties, [])
        }
      }),
      { numRuns: 25 },
    )
  })
})
