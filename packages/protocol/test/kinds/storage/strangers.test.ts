import { strict as assert } from 'node:assert'
import {
  bls,
  challengeInput,
  dataLeaves,
  decode,
  type EpochBase,
  hex,
  MessageType,
  messageId,
  plainVerifier,
  type RegistryEntry,
  STORAGE,
  StrangerFetch,
  StrangerOutcome,
  storageInventory,
  storageKind,
  strangerInput,
  strangerRange,
  strangerSlot,
  subtreeRange,
  TESTNET_PROFILE,
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
  NOTHING,
  pieceOf,
  receiptOf,
  registry,
  settleOf,
  stateOf,
} from './world.ts'

const rule = storageKind.messages.find(({ type }) => type === MessageType.strangerFetch)
const GIB = 2n ** 30n
/** At this price a byte costs a unit, so that sums can be read. */
const profile = { ...TESTNET_PROFILE, servedPrice: GIB, receiptBytes: 1 }
const votingSecret = (index: number) => bytes32(0, index + 1)
const OUTPUT = new Uint8Array(96).fill(7)

/** Provider 0 keeps two pieces of client 1. */
function scene(entries: RegistryEntry[] = registry(8)): EpochBase {
  const deals = [
    dealOf({ startEpoch: 1, piece: pieceOf(200_000), place: 0 }),
    dealOf({ startEpoch: 1, piece: pieceOf(70_000, 2), place: 1 }),
  ]
  const deposits = [deposit(1, 1_000_000n)]
  return baseOf({ profile, registry: entries, state: stateOf(deals), deposits })
}

const verifiersOf = (base: EpochBase, target = 0) => base.duty(STORAGE, target).verifiers

function fetchOf(base: EpochBase, change: Partial<StrangerFetch> = {}): StrangerFetch {
  return {
    epoch: base.epoch,
    base: base.tag,
    kind: STORAGE,
    author: verifiersOf(base)[0] as number,
    target: 0,
    output: OUTPUT,
    outcome: StrangerOutcome.given,
    ...change,
  }
}

/** What the verifiers of provider 0 say, in their order; undefined: nothing. */
function said(base: EpochBase, outcomes: readonly (number | undefined)[]): Message[] {
  return outcomes.flatMap((outcome, place) => {
    const author = verifiersOf(base)[place]
    assert.ok(author !== undefined, `there is a verifier ${place}`)
    const value = outcome === undefined ? undefined : fetchOf(base, { author, outcome })
    return value === undefined ? [] : [message(MessageType.strangerFetch, value)]
  })
}

const { given, unreachable, timeout, refused } = StrangerOutcome
const delivered = (base: EpochBase, author = 0) =>
  message(MessageType.receipt, receiptOf(base, { bytes: 500n, author }))

describe('a stranger’s fetch', () => {
  it('has known bytes, and a known input that a verifier signs', () => {
    const base = scene()
    assert.equal(
      hex(strangerInput({ network: bytes32(1), seed: bytes32(2) }, 3)),
      '88f0df11d9c90858ea27685ec594aea4555c2eafe9074f0204d0830c69d593b4000000020000000000000000000000000000000000000000000000000000000003000000',
    )
    const body = StrangerFetch.serialize({
      ...fetchOf(base),
      base: new Uint8Array(8).fill(1),
      author: 5,
      outcome: StrangerOutcome.timeout,
    })
    assert.equal(body.length, 118)
    assert.equal(
      hex(messageId({ type: MessageType.strangerFetch, body })),
      'ccd954e9c82b905a729573caa43fb2676582972ae6fa32e378bdb0e224e446d2',
    )
  })

  it('follows from the output: a slot in which challenges are revealed, and a block of a piece', () => {
    const base = scene()
    const inventory = storageInventory(base, 0)
    const [first, last] = profile.storageReveal
    const seen = new Set<string>()
    for (let number = 0; number < 200; number++) {
      const output = new Uint8Array(96).fill(number)
      const slot = strangerSlot(output, profile)
      assert.ok(slot >= first && slot <= last)
      const { piece, offset, length } = strangerRange(inventory, output)
      const leaves = dataLeaves(piece)
      const block = Array.from({ length: leaves }, (_, leaf) => subtreeRange(piece, leaf))
      assert.ok(block.some(at => at.offset === offset && at.length === length))
      assert.ok(length > 0 && offset + length <= piece.payload)
      seen.add(`${piece.payload} ${offset}`)
      assert.deepEqual(strangerRange(inventory, output), { piece, offset, length })
    }
    assert.equal(seen.size, 6, 'every block of every piece is fetched at some time')
  })

  it('is said by an assigned verifier of a provider that has something to give', () => {
    const base = scene()
    const duty = (change: Partial<StrangerFetch>) =>
      rule?.duty(fetchOf(base, change), base, NOTHING)
    for (const author of verifiersOf(base)) assert.equal(duty({ author }), 'yes')
    for (const author of base.duty(STORAGE, 0).challengers) assert.equal(duty({ author }), 'no')
    assert.equal(duty({ author: 0 }), 'no', 'nobody tells of itself')
    assert.equal(duty({ target: 1, author: verifiersOf(base, 1)[0] as number }), 'no')
    assert.equal(duty({ outcome: 6 }), 'no')
  })

  it('is said from its slot on, until the attestation slots end, once per provider', () => {
    const base = scene()
    const fetch = fetchOf(base)
    assert.deepEqual(rule?.window(fetch, base, NOTHING), [
      strangerSlot(OUTPUT, profile),
      profile.attestUntilSlot,
    ])
    const other = fetchOf(base, { outcome: StrangerOutcome.busy, output: bytes32(1) })
    assert.equal(rule?.subject(fetch), rule?.subject(other))
    assert.notEqual(rule?.subject(fetch), rule?.subject(fetchOf(base, { target: 1 })))
  })

  it('holds with the verifier’s own output alone', () => {
    const entries = registry(8).map(entry =>
      entryOf(entry.index, { voting: bls.publicKey(votingSecret(entry.index)) }),
    )
    const base = scene(entries)
    const [author, other] = verifiersOf(base) as [number, number]
    const output = bls.sign(strangerInput(base, 0), votingSecret(author))
    const holds = (change: Partial<StrangerFetch>) =>
      rule?.verify?.(fetchOf(base, { author, output, ...change }), base, plainVerifier)
    assert.equal(holds({}), true)
    assert.equal(holds({ author: other }), false)
    assert.equal(holds({ target: 1 }), false)
    assert.equal(holds({ output: OUTPUT }), false, 'a verifier cannot choose what it fetches')
    const { network, seed } = base
    const input = challengeInput({ network, seed, kind: STORAGE, target: 0 })
    assert.equal(holds({ output: bls.sign(input, votingSecret(author)) }), false)
    const later = { ...base, seed: bytes32(5), node: base.node.bind(base) } as EpochBase
    assert.equal(rule?.verify?.(fetchOf(base, { author, output }), later, plainVerifier), false)
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        try {
          assert.deepEqual(StrangerFetch.serialize(decode(StrangerFetch, bytes)), bytes)
        } catch (error) {
          assert.match((error as { code: string }).code, /^bad(Length|Encoding)$/)
        }
      }),
    )
  })
})

describe('settlement of what strangers got', () => {
  const settled = (base: EpochBase, outcomes: readonly (number | undefined)[]) => {
    const { served, fees, findings } = settleOf({
      base,
      messages: [...said(base, outcomes), delivered(base)],
    })
    const of = findings?.filter(({ code }) => code === 'strangers' || code === 'notServing')
    return { served: [...served], fees, finding: of?.[0] }
  }
  const SERVED = [[0, 500n]]

  it('lets what receipts moved count where strangers were served', () => {
    const base = scene()
    const { served, finding } = settled(base, [given, given, given, given])
    assert.deepEqual(served, SERVED)
    assert.deepEqual(finding, {
      node: 0,
      code: 'strangers',
      facts: { fetches: 4, failed: 0, operators: 0, delivered: '500', served: '500' },
    })
    assert.deepEqual(settled(base, []).served, SERVED, 'nothing is held against who was not asked')
  })

  it('counts a provider that serves its clients and refuses strangers as serving nobody', () => {
    const base = scene()
    const { served, fees, finding } = settled(base, [refused, refused, unreachable, given])
    assert.deepEqual(served, [])
    assert.deepEqual(
      fees.map(({ node, amount }) => [node, amount]),
      [[0, 500n]],
      'what its client signed for is paid',
    )
    assert.deepEqual(finding, {
      node: 0,
      code: 'notServing',
      facts: {
        fetches: 4,
        failed: 3,
        operators: 3,
        reason: 'refused',
        delivered: '500',
        served: '0',
      },
    })
  })

  it('needs more than half of the fetches', () => {
    const base = scene()
    assert.deepEqual(settled(base, [timeout, timeout, given, given]).served, SERVED)
    assert.deepEqual(settled(base, [timeout, timeout, given]).served, [])
    assert.deepEqual(settled(base, [timeout, undefined, given, timeout]).served, [])
  })

  it('needs two operators: what one says with all its nodes costs nobody anything', () => {
    const liar = bytes32(99, 3).slice(0, 20)
    const honest = scene()
    // Of seven others five are the liar’s.
    const entries = registry(8).map(entry =>
      entry.index >= 3 ? { ...entry, operator: liar } : entry,
    )
    const base = scene(entries)
    const outcomes = verifiersOf(base).map(index =>
      (base.node(index) as RegistryEntry).operator === liar ? refused : given,
    )
    assert.ok(outcomes.filter(outcome => outcome === refused).length * 2 > outcomes.length)
    const { served, finding } = settled(base, outcomes)
    assert.deepEqual(served, SERVED)
    assert.equal(finding?.code, 'strangers')
    assert.equal(finding?.facts.operators, 1)
    assert.deepEqual(settled(honest, [refused]).served, SERVED, 'and a single fetch is too few')
    assert.deepEqual(settled(honest, [refused, refused]).served, [])
  })

  it('hears nobody who contradicts itself', () => {
    const base = scene()
    const twice = [
      ...said(base, [refused, refused, refused]),
      ...said(base, [given]),
      delivered(base),
    ]
    const { findings } = settleOf({ base, messages: twice })
    assert.equal(findings?.find(({ code }) => code === 'notServing')?.facts.fetches, 2)
  })

  it('concerns the provider alone, and is the same in any order', () => {
    const base = scene()
    const messages = [
      ...said(base, [refused, refused, refused]),
      delivered(base),
      delivered(base, 5),
    ]
    const one = settleOf({ base, messages })
    assert.deepEqual([...one.served], [[5, 500n]])
    const other = settleOf({ base, messages: messages.toReversed() })
    assert.deepEqual(other.findings, one.findings)
    assert.deepEqual(one.state.served.length, 2, 'both clients’ bytes are counted as paid')
    assert.equal(hex(one.state.served[0]?.client ?? bytes32(0)), hex(clientKey(1)))
    assert.equal(base.epoch, EPOCH)
  })
})
