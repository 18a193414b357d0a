import { strict as assert } from 'node:assert'
import {
  type EpochBase,
  hex,
  PPM,
  Preview,
  type Profile,
  type Settlement,
  type SettlementInput,
} from '@cairn/protocol'
import { chooseFastHasher, type SimulatedNode, silentLog, World } from '@cairn/testnet'

const NODES = 24
/** Epochs; the last one is settled in the one after it. */
const EPOCHS = 8
/** In whose last seconds the vote is carried out. */
const VOTE_EPOCH = 2
/** The first whose base has the vote once its block came later than at first. */
const SWITCH_EPOCH = VOTE_EPOCH + 3
/** Off while the vote is carried out, moved, and taken up. */
const ASLEEP = 'node20'
const SLEEP = { from: 1.5, until: SWITCH_EPOCH + 0.5 }
const VOTED = { 'weight.2': 3n, dutyShare: 150_000n }

interface Seen {
  readonly world: World
  readonly errors: string[]
  readonly landed: { epoch: number; round: number; settlement: Settlement }[]
  /** By node, what each epoch ran on. */
  readonly profiles: Map<string, Map<number, Profile>>
  /** Before the chain took the block back, and after. */
  readonly known: boolean[]
}

/** The vote's block is taken back half a second before the epoch ends, and comes after its end. */
async function run(): Promise<Seen> {
  const errors: string[] = []
  const landed: Seen['landed'] = []
  const profiles: Seen['profiles'] = new Map()
  const known: boolean[] = []
  const world = new World({
    nodes: NODES,
    providers: 8,
    gateways: 8,
    seed: 11,
    loss: 0,
    log: () => ({ ...silentLog, error: (_, text) => void errors.push(text) }),
  })
  await chooseFastHasher()
  await world.begin()
  const watch = ({ name, node }: SimulatedNode) => {
    const own = profiles.get(name) ?? new Map<number, Profile>()
    profiles.set(name, own)
    node.epochs.onBase((base: EpochBase) => void own.set(base.epoch, base.profile))
  }
  for (const node of world.nodes) watch(node)
  const [first] = world.nodes
  first?.node.checkpointer.onAdopted(({ accepted: { epoch, round }, settled }) => {
    if (settled !== undefined) landed.push({ epoch, round, settlement: settled.settlement })
  })
  const started = world.start()
  const { slotMs, slotsPerEpoch } = world.profile
  const at = (epoch: number) => world.genesis * 1_000 + epoch * slotMs * slotsPerEpoch
  const view = world.chain.port(new Uint8Array(20))
  const isKnown = () => view.parametersAt(view.head()?.number ?? 0n).length > 0
  await world.clock.run({ until: at(0) })
  await started
  await world.clock.run({ until: at(SLEEP.from) })
  const asleep = world.crash(ASLEEP)
  assert.ok(asleep !== undefined)
  const buried = world.bury(asleep)
  await world.clock.run({ until: at(VOTE_EPOCH + 1) - 1_500 })
  await buried
  const { number } = world.chain.setParameters(VOTED)
  await world.clock.run({ until: at(VOTE_EPOCH + 1) - 500 })
  known.push(isKnown())
  world.chain.reorganise(number - 1n)
  known.push(isKnown())
  await world.clock.run({ until: at(VOTE_EPOCH + 1) + 500 })
  world.chain.setParameters(VOTED)
  await world.clock.run({ until: at(SLEEP.until) })
  const reviving = world.revive(ASLEEP)
  watch(world.nodes.at(-1) as SimulatedNode)
  await world.clock.run({ until: at(EPOCHS + 1) })
  await reviving
  return { world, errors, landed, profiles, known }
}

describe('parameters that a vote has changed', function () {
  this.timeout(360_000)

  let seen: Seen
  before(async () => {
    seen = await run()
  })

  it('were known, and not any more once the chain took their block back', () => {
    assert.deepEqual(seen.known, [true, false])
  })

  it('are taken up by every node in one epoch, that of the first base that has them', () => {
    const { profiles, world } = seen
    const { profile } = world
    const voted = { ...profile, weights: { 1: 1, 2: 3 }, dutyShare: 150_000n }
    assert.equal(profiles.size, NODES)
    for (const [name, own] of profiles) {
      const slept = name === ASLEEP
      for (let epoch = 0; epoch < EPOCHS; epoch++) {
        if (slept && !own.has(epoch)) continue
        assert.deepEqual(own.get(epoch), epoch < SWITCH_EPOCH ? profile : voted, `${name} ${epoch}`)
      }
      if (slept) assert.ok(own.has(SWITCH_EPOCH + 1), 'who slept takes part again')
    }
  })

  it('stop no epoch from being checkpointed in its first round', () => {
    const { landed, errors } = seen
    assert.deepEqual(errors, [])
    assert.deepEqual(
      landed.slice(0, EPOCHS).map(({ epoch, round }) => [epoch, round]),
      Array.from({ length: EPOCHS }, (_, epoch) => [epoch, 0]),
    )
  })

  it('move what each kind is paid, to the last unit', () => {
    const { landed, world } = seen
    let moved = 0
    for (const { epoch, settlement } of landed.slice(0, EPOCHS)) {
      const switched = epoch >= SWITCH_EPOCH
      const rest = world.profile.emission - (world.profile.emission * 30_000n) / PPM
      const [storage, coverage] = settlement.kinds
      const [whole, share] = switched ? [4n, 3n] : [2n, 1n]
      const duty = (amount: bigint) => (amount * (switched ? 150_000n : 100_000n)) / PPM
      const part = (rest * share) / whole
      // Nothing was sold: no pot by fees but that of storage, whose deals burn little.
      const proven = [...(coverage?.proven.values() ?? [])].some(units => units > 0n)
      const pot = ((part - duty(part)) * 300_000n) / PPM
      const earned = [...(coverage?.earnings.values() ?? [])].reduce((sum, one) => sum + one, 0n)
      const challenged = (coverage?.verdicts.length ?? 0) > 0
      assert.equal(earned, (challenged ? duty(part) : 0n) + (proven ? pot : 0n), `epoch ${epoch}`)
      const fees = settlement.sums.fees
      const stored = [...(storage?.earnings.values() ?? [])].reduce((sum, one) => sum + one, 0n)
      // What the fees leave, the duties, and as much again as was burned.
      assert.equal(stored, fees + duty(rest - part), `epoch ${epoch}`)
      if (switched && proven) moved++
    }
    assert.ok(moved > 0, 'coverage was paid after the vote')
  })

  it('were foretold by a preview, and a preview back tells what was before', async () => {
    const { world, landed } = seen
    const { node } = world.nodes[0] as SimulatedNode
    const input = async (epoch: number) => {
      const found = await node.settlements.input(epoch)
      assert.ok(found !== undefined)
      return found
    }
    const last = await input(EPOCHS - 1)
    const actual = landed.find(({ epoch }) => epoch === EPOCHS - 1)?.settlement
    assert.ok(actual !== undefined)
    const preview = async (values: Record<string, bigint>, inputs: SettlementInput[]) => {
      const made = new Preview(world.profile, new Map(Object.entries(values)))
      for (const one of inputs) made.add(one)
      return made
    }
    // The same messages, as if there had been no vote, and with it again.
    const under = { ...last, base: last.base.under(world.profile) }
    const foretold = await preview(VOTED, [under])
    assert.deepEqual(foretold.sums().after, actual.sums)
    const back = await preview({ 'weight.2': 1n, dutyShare: 100_000n }, [last])
    assert.deepEqual(back.sums(), {
      before: foretold.sums().after,
      after: foretold.sums().before,
    })
    const paid = new Map(actual.changes.map(({ account, earned }) => [account, earned]))
    for (const { earner, after } of foretold.earners()) assert.equal(after, paid.get(earner))
  })

  it('are what a node that slept settles by, too', async () => {
    const { world } = seen
    const { node } = world.nodes.at(-1) as SimulatedNode
    const accepted = await node.settlements.accepted(EPOCHS - 1)
    const awake = await world.nodes[0]?.node.settlements.accepted(EPOCHS - 1)
    assert.equal(hex(accepted?.root ?? new Uint8Array()), hex(awake?.root ?? new Uint8Array(1)))
    for (const epoch of [SWITCH_EPOCH - 1, SWITCH_EPOCH]) {
      assert.equal((await node.settlements.recompute(epoch))?.equal, true, `epoch ${epoch}`)
    }
  })
})
