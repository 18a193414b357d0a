import { strict as assert } from 'node:assert'
import {
  type Attestation,
  type Deal,
  dealId,
  type EpochBase,
  hex,
  MessageType,
  messageId,
  STORAGE,
  StorageReason,
  Verdict,
} from '@cairn/protocol'
import fc from 'fast-check'
import { Attestation as AttestationType } from '../../../src/messages.ts'
import { type Answering, BASE_LAG, History, honest, without } from './history.ts'
import { type Asked, bytes32, dealOf, EPOCH, sawWrongOf, sealOf } from './world.ts'

const REPAIR = 3

const deals: Deal[] = [0, 1, 2, 3].map(i =>
  dealOf({ piece: { root: bytes32(i, 4), payload: 1_000_000 }, nonce: BigInt(i) }),
)
const [bad] = deals as [Deal]
const key = hex(dealId(bad))

/** Seals wrong leaves of one deal. */
const lying: Answering = ({ deal }) => (deal.key === key ? 'wrong' : 'right')

const contained = ({ state }: History) =>
  state.contained.map(({ deal, since }) => [hex(deal), since])

describe('containment of a piece', () => {
  it('begins with the first wrong leaf that its provider sealed, and costs no bond', () => {
    const history = new History({ deals })
    const settled = history.next({ answers: { 0: lying } })
    assert.deepEqual(contained(history), [[key, EPOCH]])
    assert.deepEqual(settled.penalties, [])
    assert.ok(settled.verdicts.some(({ verdict }) => verdict === Verdict.fail))
    assert.deepEqual(
      settled.findings?.filter(({ code }) => code === 'contained'),
      [{ node: 0, code: 'contained', facts: { deal: key } }],
    )
  })

  it('makes the wrong leaf a debt, and nothing of what was right beside it', () => {
    const history = new History({ deals })
    const settled = history.next({ answers: { 0: lying } })
    assert.deepEqual(
      settled.state.debts.map(({ deal }) => hex(deal)),
      [key],
    )
    const [quotient] = settled.state.quotients
    assert.ok(quotient !== undefined && quotient.answered > 30 && quotient.answered < 60)
  })

  it('counts nothing that is said to be right in an answer under another seal than the set’s', () => {
    const history = new History({ deals })
    const base = history.base()
    const settled = history.next({
      answers: { 0: () => 'missing' },
      attest: (value, asked) => secondSeal(base, asked, value),
    })
    assert.equal(settled.state.quotients[0]?.answered, 0)
    assert.equal(settled.state.contained.length > 0, true)
  })

  it('is followed by a penalty when a base holds it and another wrong leaf is sealed', () => {
    const history = new History({ deals })
    history.next({ answers: { 0: lying } })
    for (let epoch = 1; epoch < BASE_LAG; epoch++) {
      const unknown = history.next({ answers: { 0: lying } })
      assert.deepEqual(unknown.penalties, [])
      assert.deepEqual(unknown.ended, [])
    }
    let fails: string[] = []
    const settled = history.next({
      answers: { 0: lying },
      attest: value => {
        const body = AttestationType.serialize(value)
        if (value.verdict === Verdict.fail)
          fails.push(hex(messageId({ type: MessageType.attestation, body })))
        return value
      },
    })
    fails = fails.sort()
    assert.deepEqual(
      settled.penalties?.map(({ node, evidence }) => [node, hex(evidence)]),
      [[0, fails[0]]],
    )
    assert.deepEqual(
      settled.ended.map(({ deal, reason }) => [deal.nonce, reason]),
      [[bad.nonce, 'wrong']],
    )
    assert.deepEqual(settled.state.contained, [])
    assert.deepEqual(settled.state.debts, [])
    // The base asks the ended deal still; its lies cost nobody a bond again.
    for (let epoch = 0; epoch <= BASE_LAG; epoch++) {
      assert.deepEqual(history.next({ answers: { 0: lying } }).penalties, [])
    }
  })

  it('is followed by a penalty for a wrong answer to the debt, too', () => {
    const history = new History({ deals })
    history.next({ answers: { 0: lying } })
    history.run(BASE_LAG - 1)
    const settled = history.next({
      answers: { 0: (_, { place }) => (place < 20 ? 'right' : 'wrong') },
    })
    assert.equal(settled.penalties?.length, 1)
  })

  it('is followed by none for a wrong leaf of another piece, which is contained for itself', () => {
    const history = new History({ deals })
    history.next({ answers: { 0: lying } })
    history.run(BASE_LAG - 1)
    const other = hex(dealId(deals[1] as Deal))
    const settled = history.next({
      answers: { 0: ({ deal }) => (deal.key === other ? 'wrong' : 'right') },
    })
    assert.deepEqual(settled.penalties, [])
    assert.deepEqual(settled.ended, [])
    assert.equal(settled.state.contained.length, 2)
  })

  it('is one penalty for two pieces in one epoch', () => {
    const history = new History({ deals })
    const wrong = { answers: { 0: () => 'wrong' as const } }
    history.run(BASE_LAG, wrong)
    const settled = history.next(wrong)
    // One fail names one leaf: as many pieces are caught as leaves are named.
    assert.ok((settled.penalties?.length ?? 0) >= 1)
    assert.deepEqual(new Set(settled.penalties?.map(({ node }) => node)), new Set([0]))
  })

  it('ends when the time for repair is over and the piece owes nothing', () => {
    const history = new History({ deals })
    history.next({ answers: { 0: lying } })
    history.run(BASE_LAG + REPAIR - 1)
    assert.equal(history.state.contained.length, 1)
    assert.deepEqual(history.next().state.contained, [])
    // What is wrong now, or when no base holds it any more, is the first again.
    history.run(BASE_LAG)
    assert.deepEqual(history.next({ answers: { 0: lying } }).penalties, [])
    assert.equal(history.state.contained.length, 1)
  })

  it('lasts while the piece has a debt', () => {
    const history = new History({ deals })
    history.next({ answers: { 0: lying } })
    history.next({ answers: { 0: without(bad) }, orders: [] })
    const waiting = history.run(2 * (BASE_LAG + REPAIR), { orders: [] })
    assert.equal(waiting.state.contained.length, 1)
    // Nobody could answer meanwhile.
    assert.deepEqual(history.next().state.contained, [])
  })

  it('never begins, and no bond is lost, for being away, cut off, restarted, late or without data', () => {
    const honestFaults = fc.constantFrom<Answering | 'away'>(
      'away',
      honest,
      without(bad),
      () => 'missing',
      (_, { place }) => (place % 2 ? 'right' : 'missing'),
    )
    fc.assert(
      fc.property(fc.array(honestFaults, { minLength: 1, maxLength: 10 }), faults => {
        const history = new History({ deals })
        for (const fault of faults) {
          const settled = history.next({ answers: { 0: fault } })
          assert.deepEqual(settled.penalties, [])
          assert.deepEqual(settled.state.contained, [])
          assert.ok(settled.verdicts.every(({ verdict }) => verdict !== Verdict.fail))
        }
      }),
      { numRuns: 20 },
    )
  })

  it('cannot be brought about by verifiers without the target’s seal', () => {
    const history = new History({ deals })
    const accuse = (value: Attestation): Attestation =>
      value.kind === STORAGE && value.verdict === Verdict.pass
        ? { ...value, verdict: Verdict.fail, reason: StorageReason.wrongLeaf, evidence: forged }
        : value
    let forged = new Uint8Array(0)
    const liar = new History({ deals })
    liar.next({
      answers: { 0: lying },
      attest: value => {
        forged = value.evidence as Uint8Array<ArrayBuffer>
        return value
      },
    })
    // Evidence of another epoch's lie, and of other bytes, is none.
    history.next()
    const settled = history.next({ attest: accuse })
    assert.deepEqual(settled.state.contained, [])
    assert.ok(settled.verdicts.every(({ verdict }) => verdict === Verdict.inconclusive))
  })
})

/** A fail over an answer that is not the one whose seal the target published. */
function secondSeal(base: EpochBase, asked: Asked, { author }: Attestation) {
  const proof = asked.question.map((_, place) => [bytes32(place, 0x33)])
  const sealed = sealOf(base, asked, proof)
  const right = asked.question.map((_, place) => place).slice(1)
  return sawWrongOf(base, asked, author, { proof, sealed, place: 0, right })
}
