import { strict as assert } from 'node:assert'
import {
  Audit,
  auditSigningRoot,
  type Deal,
  dataLeaves,
  dealId,
  decode,
  type Envelope,
  type EpochBase,
  hex,
  type Known,
  MessageType,
  messageId,
  plainVerifier,
  type StorageState,
  Verdict,
} from '@cairn/protocol'
import fc from 'fast-check'
import { storageKind } from '../../../src/kinds/storage/storage.ts'
import { type Answering, BASE_LAG, History, without } from './history.ts'
import {
  auditOf,
  baseOf,
  bytes32,
  clientKey,
  dealOf,
  EPOCH,
  type Message,
  message,
  NETWORK,
  signAudit,
  stateOf,
} from './world.ts'

const rule = storageKind.standing.find(({ type }) => type === MessageType.audit)

function known(envelope: Envelope): Known<Audit> {
  return { id: messageId(envelope), value: decode(Audit, envelope.body) }
}

const holding = (...deals: Deal[]) => baseOf({ state: stateOf(deals) })

function verify(base: EpochBase, audit: Audit, change: Parameters<typeof signAudit>[1] = {}) {
  const envelope = signAudit(audit, change)
  return rule?.verify(known(envelope), envelope.signature, base, plainVerifier)
}

describe('an audit', () => {
  it('has a known id and signing root', () => {
    const audit = { client: bytes32(3), deal: bytes32(7, 4), leaf: 258, epoch: 9 }
    const envelope = { type: MessageType.audit, body: Audit.serialize(audit) }
    assert.equal(hex(envelope.body), `${hex(audit.client)}${hex(audit.deal)}0201000009000000`)
    assert.equal(
      hex(messageId(envelope)),
      '808786bcdaf9c93717f256b8d2c9bb65e192963c02c639aad88d14bab4b981b0',
    )
    assert.equal(
      hex(auditSigningRoot(audit, NETWORK)),
      'fd7c3810b79599fb38a3fe307984db4e133b6053bcfdbcda46d70d2bd9017565',
    )
  })

  it('is valid with the signature of the deal’s client over a leaf of its piece', () => {
    const deal = dealOf()
    const base = holding(deal)
    assert.equal(verify(base, auditOf(deal)), 'yes')
    const last = dataLeaves(deal.piece) - 1
    assert.equal(verify(base, auditOf(deal, { leaf: last })), 'yes')
    assert.equal(verify(base, auditOf(deal, { leaf: last + 1 })), 'no')
    assert.equal(verify(base, auditOf(deal), { client: 2 }), 'no')
    assert.equal(verify(base, auditOf(deal), { network: bytes32(7) }), 'no')
    const stolen = auditOf(deal, { client: clientKey(2) })
    assert.equal(verify(base, stolen, { client: 2 }), 'no')
    assert.equal(verify(holding(), auditOf(deal)), 'unknown')
    const unsigned = known(signAudit(auditOf(deal)))
    for (const signature of [new Uint8Array(64), new Uint8Array(0), new Uint8Array(128)]) {
      assert.equal(rule?.verify(unsigned, signature, base, plainVerifier), 'no')
    }
  })

  it('belongs into the set of its epoch, of a deal that is live at the base', () => {
    const deal = dealOf()
    const pending = (base: EpochBase, audit: Audit) => rule?.pending(known(signAudit(audit)), base)
    assert.equal(pending(holding(deal), auditOf(deal)), true)
    assert.equal(pending(holding(deal), auditOf(deal, { epoch: EPOCH - 1 })), false)
    assert.equal(pending(holding(deal), auditOf(deal, { epoch: EPOCH + 1 })), false)
    assert.equal(pending(holding(), auditOf(deal)), false)
    const coming = dealOf({ startEpoch: EPOCH + 1 })
    assert.equal(pending(holding(coming), auditOf(coming)), false)
  })

  it('is kept once for a deal and epoch, whatever its client signs', () => {
    const deal = dealOf()
    const other = dealOf({ nonce: 2n })
    const base = holding(deal, other)
    const waiting = [known(signAudit(auditOf(deal)))]
    const fits = (audit: Audit) => rule?.fits?.(known(signAudit(audit)), waiting, base)
    assert.equal(fits(auditOf(deal, { leaf: 6 })), false)
    assert.equal(fits(auditOf(other)), true)
    assert.equal(fits(auditOf(deal, { epoch: EPOCH + 1 })), true)
    assert.equal(rule?.account(auditOf(deal)), hex(clientKey(1)))
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
        try {
          assert.deepEqual(Audit.serialize(decode(Audit, bytes)), bytes)
          assert.equal(bytes.length, 72)
        } catch (error) {
          assert.equal((error as { code: string }).code, 'badLength')
        }
      }),
    )
  })
})

/** Deals of provider 0; none is so small that a leaf is drawn twice here. */
function dealsOf(count: number, change: Partial<Deal> = {}): Deal[] {
  return Array.from({ length: count }, (_, i) =>
    dealOf({
      piece: { root: bytes32(i, 4), payload: 1_000_000 },
      nonce: BigInt(i),
      pricePerEpoch: 1n,
      ...change,
    }),
  )
}

const said = (history: History, ...deals: Deal[]): Message[] =>
  deals.map(deal => message(MessageType.audit, auditOf(deal, { epoch: history.epoch })))
const waiting = ({ audits }: StorageState) => audits.map(({ deal }) => hex(deal))
const feesOf = ({ fees }: { fees: readonly { amount: bigint }[] }) =>
  fees.reduce((sum, { amount }) => sum + amount, 0n)
const found = (settled: ReturnType<History['next']>, code: string) =>
  settled.findings?.filter(finding => finding.code === code).map(({ facts }) => facts)

describe('audits in settlement', () => {
  const deals = dealsOf(3)
  const [deal] = deals as [Deal]
  const key = hex(dealId(deal))

  it('wait in the state, are asked behind the new leaves, and end with an answer', () => {
    const history = new History({ deals })
    const taken = history.next({ more: said(history, deal) })
    assert.deepEqual(waiting(taken.state), [key])
    assert.deepEqual(taken.state.audits[0]?.since, EPOCH)
    assert.deepEqual(found(taken, 'audits'), [{ taken: 1, answered: 0, confirmed: 0 }])
    assert.equal(feesOf(taken), 3n)
    const between = history.run(BASE_LAG - 1)
    assert.deepEqual(waiting(between.state), [key])
    assert.ok(between.verdicts.every(({ facts }) => facts.askedAgain === 0))
    const settled = history.next()
    assert.deepEqual(
      settled.verdicts.map(({ facts }) => [facts.askedAgain, facts.answeredAgain]),
      [
        [1, 1],
        [0, 0],
        [0, 0],
      ],
    )
    assert.deepEqual(found(settled, 'audits'), [{ taken: 0, answered: 1, confirmed: 0 }])
    assert.deepEqual(settled.state.audits, [])
    assert.deepEqual(settled.state.debts, [])
    assert.equal(feesOf(settled), 3n)
  })

  it('become debts when they are asked in vain, and cost the deal its fee from then on', () => {
    const history = new History({ deals })
    /** Keeps all it is asked at random, and has not the audited leaf. */
    const answers: Record<number, Answering> = {
      0: (_, { place }) => (place < 20 ? 'right' : 'missing'),
    }
    history.next({ more: said(history, deal), answers })
    assert.equal(feesOf(history.run(BASE_LAG - 1, { answers })), 3n)
    const settled = history.next({ answers })
    assert.ok(settled.verdicts.every(({ verdict }) => verdict === Verdict.pass))
    assert.deepEqual(found(settled, 'audits'), [{ taken: 0, answered: 0, confirmed: 1 }])
    assert.deepEqual(settled.state.audits, [])
    assert.deepEqual(
      settled.state.debts.map(({ leaf, since, again, asked }) => [leaf, since, again, asked]),
      [[5, EPOCH + BASE_LAG, 0, EPOCH + BASE_LAG]],
    )
    assert.equal(feesOf(settled), 2n)
    // The base holds the audit still, so the leaf is asked again at once.
    const end = history.run(1 + 3, { answers })
    assert.deepEqual(
      end.ended.map(({ deal: { nonce }, reason }) => [nonce, reason]),
      [[deal.nonce, 'lost']],
    )
  })

  it('are not confirmed by a challenge that was late', () => {
    const history = new History({ deals })
    history.next({ more: said(history, deal) })
    history.run(BASE_LAG - 1)
    const late = { attest: (value: object) => ({ ...value, seenSlot: 10 }) as never }
    const settled = history.next({ answers: { 0: without(deal) }, ...late })
    assert.deepEqual(waiting(settled.state), [key])
    assert.deepEqual(settled.state.debts, [])
  })

  it('add nothing to a deal that owes an answer, nor a second one to a deal that waits', () => {
    const history = new History({ deals })
    const answers = { 0: without(deal) }
    const both = history.next({ answers, more: said(history, deal, deals[1] as Deal) })
    assert.deepEqual(waiting(both.state), [hex(dealId(deals[1] as Deal))])
    const settled = history.next({ answers, more: said(history, deal, deals[1] as Deal) })
    assert.deepEqual(settled.state.audits, both.state.audits)
  })

  it('give way to a debt that a new leaf brings, and end with their deal', () => {
    const history = new History({ deals })
    history.next({ more: said(history, deal) })
    const settled = history.next({ answers: { 0: without(deal) } })
    assert.deepEqual(settled.state.audits, [])
    assert.equal(settled.state.debts.length, 1)
    const ending = new History({ deals: [dealOf({ endEpoch: EPOCH + 1 })] })
    const over = ending.next({ more: said(ending, dealOf({ endEpoch: EPOCH + 1 })) })
    assert.deepEqual(over.state.audits, [])
  })

  it('count once per deal and epoch, the one with the lower id', () => {
    const history = new History({ deals })
    const leaves = [8, 9, 10]
    const many = leaves.map(leaf =>
      message(MessageType.audit, auditOf(deal, { epoch: history.epoch, leaf })),
    )
    const byId = many.toSorted((a, b) =>
      hex(messageId(a.envelope)) < hex(messageId(b.envelope)) ? -1 : 1,
    )
    const [lower] = byId.map(({ value }) => value as Audit)
    for (const more of [many, many.toReversed()]) {
      const settled = new History({ deals }).next({ more })
      assert.equal(settled.state.audits.length, 1)
      assert.equal(settled.state.audits[0]?.leaf, lower?.leaf)
    }
  })
})

describe('a client that audits to harm its provider', () => {
  const most = 10
  const profile = { debtsPerChallenge: most }

  it('has no more leaves asked than the profile allows, and takes no pay from anybody', () => {
    const deals = dealsOf(3 * most)
    const history = new History({ deals, profile })
    for (let epoch = 0; epoch < 3 * BASE_LAG; epoch++) {
      const settled = history.next({ more: said(history, ...deals) })
      assert.ok(settled.state.audits.length <= most)
      const again = settled.verdicts.map(({ facts }) => Number(facts.askedAgain))
      assert.ok(again.reduce((sum, count) => sum + count, 0) <= most)
      assert.equal(feesOf(settled), BigInt(deals.length))
      assert.deepEqual(settled.state.debts, [])
      assert.deepEqual(settled.penalties, [])
      assert.ok(settled.findings?.every(({ code }) => code === 'audits'))
    }
  })

  it('does not crowd out another client’s audit, nor any debt', () => {
    const own = dealsOf(3 * most)
    const small = dealOf({ client: clientKey(2), piece: { root: bytes32(99), payload: 1_000_000 } })
    for (const nonce of [1n, 2n, 3n, 4n, 5n]) {
      const victim = { ...small, nonce }
      const history = new History({ deals: [...own, victim], profile })
      const settled = history.next({ more: said(history, ...own, victim) })
      assert.equal(settled.state.audits.length, most)
      assert.ok(waiting(settled.state).includes(hex(dealId(victim))))
    }
    const history = new History({ deals: [...own, small], profile })
    const answers = { 0: without(small) }
    history.run(2, { answers, more: said(history, ...own) })
    const settled = history.run(BASE_LAG, { answers })
    assert.equal(settled.state.debts[0]?.again, EPOCH + BASE_LAG)
  })

  it('leaves every provider that answers as it was, whatever it signs', () => {
    const deals = dealsOf(6)
    const some = fc.array(fc.record({ deal: fc.nat(5), leaf: fc.nat(30_000) }), { maxLength: 8 })
    fc.assert(
      fc.property(fc.array(some, { minLength: 1, maxLength: 6 }), epochs => {
        const history = new History({ deals })
        for (const audits of epochs) {
          const more = audits.map(({ deal, leaf }) =>
            message(
              MessageType.audit,
              auditOf(deals[deal] as Deal, { leaf, epoch: history.epoch }),
            ),
          )
          const settled = history.next({ more })
          assert.equal(feesOf(settled), 6n)
          assert.deepEqual([settled.state.debts, settled.ended, settled.penalties], [[], [], []])
          assert.equal(new Set(waiting(settled.state)).size, settled.state.audits.length)
        }
      }),
      { numRuns: 15 },
    )
  })
})
