import { strict as assert } from 'node:assert'
import {
  COVERAGE,
  coverage,
  type EpochBase,
  ed25519,
  hex,
  type Kind,
  MEASURERS_MAX,
  type Measurement,
  MessageSet,
  MessageType,
  measurementRule,
  measurersOf,
  PINGS_MAX,
  PINGS_MIN,
  type Profile,
  pingedRoot,
  plainVerifier,
  type RegistryEntry,
  rulebook,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import fc from 'fast-check'
import { cellNorth, EVERY_EPOCH } from '../field.ts'
import { baseOf, bytes32, entryOf } from '../network.ts'

interface Nodes {
  count: number
  change?: (index: number) => Partial<RegistryEntry>
  profile?: Profile
  seed?: number
}

function baseWith({ count, change, profile = EVERY_EPOCH, seed = 1 }: Nodes): EpochBase {
  const registry = Array.from({ length: count }, (_, index) =>
    entryOf(index, { cell: cellNorth(1_000 * index), region: 1, ...change?.(index) }),
  )
  return baseOf({ epoch: 8, profile, registry, seed: bytes32(seed) })
}

const operator = (name: number) => ({ operator: bytes32(name, 3).slice(0, 20) })

describe('measurers of a gateway', () => {
  it('are as many as there may be, of different operators, never of its own', () => {
    const base = baseWith({ count: 40, change: index => operator(index % 12) })
    for (const { index } of base.nodes) {
      const found = measurersOf(base, index)
      const operators = [...found, index].map(node => hex(base.node(node)?.operator as Uint8Array))
      assert.equal(found.length, MEASURERS_MAX)
      assert.equal(new Set(operators).size, MEASURERS_MAX + 1)
    }
  })

  it('are as few as there are other operators', () => {
    const base = baseWith({ count: 20, change: index => operator(index % 4) })
    assert.equal(measurersOf(base, 0).length, 3)
    const alone = baseWith({ count: 5, change: () => operator(0) })
    assert.deepEqual(measurersOf(alone, 0), [])
  })

  it('have a cell, and neither is who has none measured', () => {
    const base = baseWith({ count: 6, change: index => (index < 3 ? { cell: 0n } : {}) })
    assert.deepEqual(measurersOf(base, 0), [])
    assert.deepEqual(measurersOf(base, 3).toSorted(), [4, 5])
  })

  it('are not idle, though who is idle is measured', () => {
    const registered = { registeredAt: 0 }
    const base = baseOf({
      epoch: 40,
      stateEpoch: 39,
      profile: EVERY_EPOCH,
      registry: [0, 1, 2].map(index => entryOf(index, { cell: cellNorth(index), ...registered })),
    })
    assert.ok(base.nodes.every(({ index }) => base.idle(index)))
    assert.deepEqual(measurersOf(base, 0), [])
    const awake = { ...base, nodes: base.nodes, node: base.node.bind(base), idle: () => false }
    assert.equal(measurersOf(awake as unknown as EpochBase, 0).length, 2)
  })

  it('follow from the seed, and fall on everybody alike', () => {
    const counts = new Map<number, number>()
    for (let seed = 1; seed <= 100; seed++) {
      const base = baseWith({ count: 20, seed })
      const found = measurersOf(base, 0)
      assert.deepEqual(measurersOf(baseWith({ count: 20, seed }), 0), found)
      for (const index of found) counts.set(index, (counts.get(index) ?? 0) + 1)
    }
    // 42 each on average.
    assert.equal(counts.size, 19)
    assert.ok([...counts.values()].every(count => count > 20 && count < 65))
  })
})

describe('rule of a measurement', () => {
  const secret = bytes32(3, 9)
  const base = baseWith({
    count: 12,
    change: index => (index === 0 ? { identity: ed25519.publicKey(secret) } : {}),
  })
  const rule = measurementRule((at, target) => at.isTarget(coverage, target))
  const [author] = measurersOf(base, 0) as [number]
  const known = new MessageSet()

  function measurement(change: Partial<Measurement> = {}, signed = change): Measurement {
    const fields = { epoch: 8, base: base.tag, kind: COVERAGE, author, target: 0 }
    const plain = { ...fields, nonce: bytes32(4), count: 32, micros: 9, signature: bytes32(0) }
    const { nonce, count, target, author: measurer } = { ...plain, ...signed }
    const root = pingedRoot(
      { epoch: 8, base: base.tag, measurer, target, nonce, count },
      base.network,
    )
    return { ...plain, signature: ed25519.sign(root, secret), ...change }
  }
  const duty = (value: Measurement) => rule.duty(value, base, known)
  const holds = (value: Measurement) => rule.verify?.(value, base, plainVerifier)

  it('is one of the kind, with one word about each gateway', () => {
    const book = rulebook([coverage as unknown as Kind<unknown>])
    assert.ok(book.rule(MessageType.measurement, COVERAGE) !== undefined)
    assert.equal(rule.subject(measurement()), '0')
    assert.notEqual(rule.subject(measurement({ target: 1 })), '0')
  })

  it('lets the drawn measurers speak and nobody else', () => {
    const drawn = new Set(measurersOf(base, 0))
    for (const { index } of base.nodes) {
      assert.equal(duty(measurement({ author: index })), drawn.has(index) ? 'yes' : 'no')
    }
  })

  it('is about a gateway that the epoch asks', () => {
    const quiet = baseWith({ count: 12, change: index => (index === 0 ? { region: 99 } : {}) })
    assert.ok(measurersOf(quiet, 0).includes(author))
    assert.equal(rule.duty(measurement(), quiet, known), 'no')
    assert.equal(duty(measurement({ target: 99 })), 'no')
  })

  it('takes from as many pings as there must be to as many as there may be', () => {
    assert.equal(duty(measurement({ count: PINGS_MIN - 1 })), 'no')
    assert.equal(duty(measurement({ count: PINGS_MIN })), 'yes')
    assert.equal(duty(measurement({ count: PINGS_MAX })), 'yes')
    assert.equal(duty(measurement({ count: PINGS_MAX + 1 })), 'no')
  })

  it('is said while beacons are, until attestations end', () => {
    const { coverageReveal, attestUntilSlot } = TESTNET_PROFILE
    assert.deepEqual(rule.window(measurement(), base, known), [coverageReveal[0], attestUntilSlot])
  })

  it('needs the signature of the measured one over count, chain and both names', () => {
    assert.ok(holds(measurement()))
    // The time is the measurer's own word.
    assert.ok(holds(measurement({ micros: 1 }, {})))
    assert.ok(!holds(measurement({ count: 33 }, {})))
    assert.ok(!holds(measurement({ nonce: bytes32(5) }, {})))
    assert.ok(!holds(measurement({ author: author + 1 }, {})))
    assert.ok(!holds(measurement({ target: 1 })))
    assert.ok(!holds(measurement({ target: 99 })))
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), signature => {
        return !holds(measurement({ signature }))
      }),
    )
  })
})
