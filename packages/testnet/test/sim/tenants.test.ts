import { strict as assert } from 'node:assert'
import { type CairnNode, CONTACTS_MAX, contactsOf } from '@cairn/node'
import {
  authorOf,
  coverage as coverageKind,
  decode,
  equalBytes,
  Measurement,
  MessageType,
  proposerOf,
  type RegistryEntry,
  type SettledVerdict,
  Vote,
} from '@cairn/protocol'
import { chooseFastHasher, silentLog, World } from '@cairn/testnet'

const NODES = 6
const GATEWAYS = 4
const RADIOS = 3
const EPOCHS = 4
/** Parts of an epoch between which a node is cut off: much is said meanwhile. */
const CUT_FROM = 0.3
const CUT_UNTIL = 0.95

/** Six nodes, four of them with three radios each: fourteen registrations. */
async function run({ cutOff }: { cutOff?: string } = {}) {
  const errors: string[] = []
  const refusals: unknown[] = []
  const world = new World({
    nodes: NODES,
    providers: 2,
    gateways: GATEWAYS,
    radiosPerNode: RADIOS,
    seed: 7,
    loss: 0,
    log: name => ({
      ...silentLog,
      error: (_, text) => void errors.push(text),
      info: facts => void (name === cutOff && 'refusal' in facts && refusals.push(facts.refusal)),
    }),
  })
  await chooseFastHasher()
  await world.begin()
  const { node } = world.nodes[0] as { node: CairnNode }
  const said = new Map<number, Set<number>>()
  const earned = new Map<number, bigint>()
  const verdicts: SettledVerdict[] = []
  /** By whom each was measured. */
  const measured = new Map<number, Set<number>>()
  const rounds: { epoch: number; round: number; drawn: number | undefined }[] = []
  node.checkpointer.onAdopted(({ accepted, settled }) => {
    const { epoch, round } = accepted
    const committee = node.epochs.committee(epoch)
    const seed = node.epochs.knownSeed(epoch + 1)
    if (committee !== undefined && seed !== undefined) {
      rounds.push({ epoch, round, drawn: proposerOf(committee, seed, 0) })
    }
    const coverage = settled?.settlement.kinds.find(({ name }) => name === coverageKind.name)
    // Duties are paid too, whatever the radio does: counted is what it proved.
    for (const [index, units] of coverage?.proven ?? []) {
      const amount = units > 0n ? (coverage?.earnings.get(index) ?? 0n) : 0n
      earned.set(index, (earned.get(index) ?? 0n) + amount)
    }
    verdicts.push(...(coverage?.verdicts ?? []))
    for (const { envelope } of settled?.set.messages() ?? []) {
      const author = authorOf(envelope)
      if (envelope.type === MessageType.measurement) {
        const { target, author: measurer } = decode(Measurement, envelope.body)
        measured.set(target, (measured.get(target) ?? new Set()).add(measurer))
      }
      if (author === undefined) continue
      const types = said.get(author) ?? new Set()
      said.set(author, types.add(envelope.type))
    }
  })
  const started = world.start()
  const { slotMs, slotsPerEpoch } = world.profile
  const at = (epoch: number) => world.genesis * 1_000 + epoch * slotMs * slotsPerEpoch
  await world.clock.run({ until: at(0) })
  await started
  for (let epoch = 0; epoch < EPOCHS && cutOff !== undefined; epoch++) {
    await world.clock.run({ until: at(epoch + CUT_FROM) })
    const peer = world.nodes.find(({ name }) => name === cutOff)?.peer ?? ''
    world.network.partition([[peer]])
    await world.clock.run({ until: at(epoch + CUT_UNTIL) })
    world.network.heal()
  }
  await world.clock.run({ until: at(EPOCHS + 1) })
  return { world, node, errors, refusals, said, earned, verdicts, measured, rounds }
}

describe('several radios of one node', function () {
  this.timeout(360_000)

  let seen: Awaited<ReturnType<typeof run>>
  before(async () => {
    seen = await run()
  })

  it('earn each under its own index', () => {
    const { world, earned, errors } = seen
    assert.deepEqual(errors, [])
    assert.equal(world.registry.length, NODES + GATEWAYS * (RADIOS - 1))
    for (const { index } of [...world.places.slice(0, GATEWAYS), ...world.tenants]) {
      assert.ok((earned.get(index) ?? 0n) > 0n, `node ${index} earned nothing`)
    }
  })

  it('do what the seed has each of them do, with their own keys', () => {
    const { world, said } = seen
    const { challenge, attestation, commit, report, beacon, strangerFetch, vote } = MessageType
    const all = new Set<number>()
    for (const { index } of world.tenants) {
      const types = said.get(index) ?? new Set()
      for (const type of [attestation, commit, report, vote]) {
        assert.ok(types.has(type), `node ${index} said no ${type}`)
      }
      for (const type of types) all.add(type)
    }
    assert.ok([challenge, beacon, strangerFetch].every(type => all.has(type)))
  })

  it('are measured, and measure, under the peer id of their daemon', () => {
    const { world, measured } = seen
    const measurers = new Set([...measured.values()].flatMap(set => [...set]))
    for (const { index } of world.tenants) {
      assert.equal(measured.get(index)?.size, GATEWAYS - 1, `node ${index} was not measured`)
    }
    assert.ok(world.tenants.some(({ index }) => measurers.has(index)))
  })

  it('vote each once in a round', () => {
    const { world, node } = seen
    const voters: number[] = []
    for (const { envelope } of node.epochs.record(EPOCHS - 1)?.set.messages() ?? []) {
      if (envelope.type !== MessageType.vote) continue
      const { author, epoch } = decode(Vote, envelope.body)
      if (epoch === EPOCHS - 2) voters.push(author)
    }
    assert.deepEqual(
      voters.sort((a, b) => a - b),
      world.registry.map(({ index }) => index),
    )
  })

  it('do not count for each other, for one operator has registered them all', () => {
    const { world, verdicts } = seen
    const operatorOf = (index: number) => (world.registry[index] as RegistryEntry).operator
    let same = 0
    for (const { target, parts = [] } of verdicts) {
      for (const { node: witness, reason } of parts) {
        if (!equalBytes(operatorOf(witness), operatorOf(target))) continue
        assert.equal(reason, 'sameOperator')
        same++
      }
    }
    assert.ok(same > 0)
    assert.ok(verdicts.some(({ parts = [] }) => parts.some(({ reason }) => reason === 'ok')))
  })

  it('propose checkpoints whose sets others get from their daemon', async () => {
    // Who was cut off lacks messages, and fetches the proposed set.
    const { rounds, world, refusals } = await run({ cutOff: `node${NODES}` })
    const tenants = new Set(world.tenants.map(({ index }) => index))
    const proposed = rounds.filter(({ drawn }) => drawn !== undefined && tenants.has(drawn))
    assert.ok(proposed.length > 0)
    for (const { round, epoch } of proposed) assert.equal(round, 0, `epoch ${epoch}`)
    assert.deepEqual(refusals, [])
  })
})

describe('whom to ask in the place of a node', () => {
  const entry = (index: number, operator: number) =>
    ({ index, operator: new Uint8Array(20).fill(operator) }) as RegistryEntry
  const nodes = [entry(0, 1), entry(1, 1), entry(2, 2), ...many(8).map(i => entry(3 + i, 1))]
  const peerOf = ({ index }: RegistryEntry) => `peer${index}`
  const ask = (connected: string[]) =>
    contactsOf(nodes[0] as RegistryEntry, { nodes }, { peerOf, connected: new Set(connected) })

  it('is its own peer while that is connected', () => {
    assert.deepEqual(ask(['peer0', 'peer1', 'peer2']), ['peer0'])
  })

  it('is else connected peers of its operator, and at last itself', () => {
    assert.deepEqual(ask(['peer1', 'peer2']), ['peer1', 'peer0'])
    assert.deepEqual(ask(['peer2']), ['peer0'])
  })

  it('is never more than a few', () => {
    const all = ask(nodes.slice(1).map(peerOf))
    assert.equal(all.length, CONTACTS_MAX)
    assert.equal(all.at(-1), 'peer0')
  })
})

function many(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
