/** The set that a node ends with, and what settles from it, over every order of arrival. */
import { strict as assert } from 'node:assert'
import {
  COVERAGE,
  Commit,
  coverage,
  type EpochMessage,
  emptyState,
  genesisCheckpoint,
  hex,
  judge,
  type Kind,
  MessageSet,
  MessageType,
  peek,
  rulebook,
  type SetMessage,
  type Settlement,
  State,
  settle,
} from '@cairn/protocol'
import fc from 'fast-check'
import { Field } from './field.ts'
import { bytes32 } from './network.ts'

const PLACES = [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]
const kinds = [coverage as unknown as Kind<unknown>]
const book = rulebook(kinds)
/** Signatures are not the matter here. */
const trusting = { ed25519: () => true, bls: () => true, drand: () => true }

/** What a node holds to which these came in this order; what waits is judged anew each time. */
function received({ base }: Field, messages: readonly SetMessage<EpochMessage>[]): MessageSet {
  const set = new MessageSet()
  let waiting = [...messages]
  for (let before = -1; waiting.length !== before; ) {
    before = waiting.length
    waiting = waiting.filter(message => {
      const { envelope } = message
      const peeked = peek(envelope, book)
      const context = { base, known: set, verifier: trusting, slots: undefined }
      const judgement = judge({ envelope, ...peeked, ...context })
      if (judgement.verdict === 'wait') return true
      assert.equal(judgement.verdict, 'valid')
      if (judgement.verdict === 'valid') set.add(message, judgement.subject, COVERAGE)
      return false
    })
  }
  return set
}

function settled({ base, state: carried }: Field, set: MessageSet): Settlement {
  const state = new State(emptyState([]).core, kinds, new Map([[COVERAGE, carried]]))
  const checkpoint = genesisCheckpoint({ state, kinds, committee: bytes32(1), rulesVersion: 1 })
  return settle({
    base,
    kinds,
    set,
    parent: { root: bytes32(2), checkpoint, state },
    voters: [],
    drawn: [],
    landed: [],
    nextCommittee: bytes32(3),
  })
}

/** A beacon, its witnesses, and everything that they can contradict, at most two to a subject. */
function fieldOf(rival: number): Field {
  const field = new Field({ places: PLACES })
  const { transmission: slot } = field.slots
  const second = field.ask(1)
  field.reveal()
  field.hear(1)
  field.hear(2)
  field.say<Commit>(MessageType.commit, Commit, 2, { slot, root: bytes32(4) })
  field.hear(3, { reception: { payload: field.plan.payload.map(byte => byte ^ 1) } })
  field.hear(4)
  field.open(4, { reception: { tmst: 7 } })
  field.say<Commit>(MessageType.commit, Commit, 5, { slot, root: bytes32(5) })
  field.open(5)
  field.open(6)
  field.attest()
  field.attest({ challenge: second })
  rivals[rival]?.(field)
  return field
}

/** Everything that was said in it, once each. */
function saidIn({ said }: Field): SetMessage<EpochMessage>[] {
  return [...new Map(said.map(message => [hex(message.id), message])).values()]
}

/** No second reveal, one of another emission, and one for another challenge. */
const rivals: readonly ((field: Field) => void)[] = [
  () => {},
  field => field.reveal({ spreadingFactor: 12 }),
  field => field.revealFor(field.ask(1)),
]

describe('arrival of what belongs to a beacon', () => {
  it('leads to one set and one checkpoint in whatever order, contradictions included', () => {
    // What arrives is drawn as places in the bundle, so that a counterexample can be read.
    const choice = fc.nat({ max: rivals.length - 1 }).chain(rival => {
      const places = [...saidIn(fieldOf(rival)).keys()]
      const part = fc.oneof(
        fc.constant(places),
        fc.subarray(places, { minLength: places.length - 6 }),
        fc.subarray(places),
      )
      const order = (kept: number[]) => fc.shuffledSubarray(kept, { minLength: kept.length })
      return part.chain(kept => fc.tuple(fc.constant(rival), order(kept), order(kept)))
    })
    fc.assert(
      fc.property(choice, ([rival, ...orders]) => {
        const field = fieldOf(rival)
        const said = saidIn(field)
        const [one, other] = orders.map(places =>
          received(
            field,
            places.map(place => said[place] as SetMessage<EpochMessage>),
          ),
        ) as [MessageSet, MessageSet]
        assert.deepEqual(one.ids().map(hex), other.ids().map(hex))
        assert.equal(hex(settled(field, one).root), hex(settled(field, other).root))
      }),
      { numRuns: 60 },
    )
  })

  it('settles alike whichever two of three reveals are held', () => {
    const field = fieldOf(0)
    const second = field.ask(1)
    for (const spreadingFactor of [7, 12]) field.revealFor(second, { spreadingFactor })
    const said = saidIn(field)
    const reveals = said.filter(isReveal)
    const others = said.filter(message => !isReveal(message))
    assert.equal(reveals.length, 3)
    const views = reveals.map(last => {
      const kept = reveals.filter(reveal => reveal !== last)
      const set = received(field, [...kept, ...others])
      return {
        reports: set.anyOfType(MessageType.report, COVERAGE).map(({ id }) => hex(id)),
        kinds: settled(field, set).kinds,
      }
    })
    assert.equal(views[0]?.reports.length, 6)
    for (const view of views) assert.deepEqual(view, views[0])
  })

  it('admits every report whose author committed, and never one without a commit', () => {
    const field = fieldOf(1)
    const set = received(field, field.said.toReversed())
    const reports = set.anyOfType(MessageType.report, COVERAGE)
    assert.deepEqual(reports.map(({ value }) => value.author).toSorted(), [1, 2, 3, 4, 4, 5])
  })

  it('costs an author of two reveals a penalty, as one of two commits', () => {
    assert.deepEqual(
      rivals.map((_, rival) => penalised(fieldOf(rival))),
      [[2], [0, 2], [0, 2]],
    )
  })
})

function isReveal({ envelope }: SetMessage): boolean {
  return envelope.type === MessageType.beacon
}

function penalised(field: Field): number[] {
  return settled(field, received(field, field.said)).penalties.map(({ node }) => node)
}
