/**
 * Nodes that follow the protocol lose no bond, whatever befalls them, and go on when it is over:
 * schedules of faults from seeds, each printed with its seed when it fails. And beside it: who does
 * cheat loses it, once.
 */
import { strict as assert } from 'node:assert'
import type { Clock, ClosingMark, KindServices, NodeKind, Store } from '@cairn/node'
import {
  type CairnError,
  type Envelope,
  MessageType,
  Seal,
  slotStart,
  TOKEN,
  Verdict,
} from '@cairn/protocol'
import { MemoryStore, Prng } from '@cairn/testnet'
import { Sublevel } from '../../../node/src/ledger/schema.ts'
import { bytes32, type KernelWorld } from '../../../protocol/test/kernel-world.ts'
import { ECHO } from '../../../protocol/test/kinds/trivial.ts'
import { echoKind, NodeWorld, peerName, type WorldNode } from './world.ts'
import { WrongClock } from './wrong-clock.ts'

const NODES = 5
/** Epochs with faults, and without any after them. */
const FAULTY = 10
const QUIET = 5
/** From 27 on: clocks that are set back leave rounds that nobody waits for, unless nodes see to it. */
const SEEDS = [...Array.from({ length: 8 }, (_, i) => i + 1), 27, 30, 31, 33]
/** Slots between two decisions of a schedule. */
const STEP_SLOTS = 2

/** A machine's power, which may fail after so many more writes to its disk: then nothing happens. */
class Power {
  writesLeft = Number.POSITIVE_INFINITY
  onCut = () => {}

  get off(): boolean {
    return this.writesLeft <= 0
  }

  disk(store: Store): Store {
    const dead = <T>() => new Promise<T>(() => {})
    return {
      get: async key => (this.off ? await dead() : await store.get(key)),
      batch: async (writes, options) => {
        if (this.off) await dead()
        await store.batch(writes, options)
        if (--this.writesLeft === 0) {
          this.onCut()
          await dead()
        }
      },
      range: options =>
        this.off ? forEver<readonly [Uint8Array, Uint8Array]>(dead) : store.range(options),
      sublevel: name => this.disk(store.sublevel(name)),
      close: () => store.close(),
    }
  }

  clock(clock: Clock): Clock {
    const task = (run: () => void) => () => {
      if (!this.off) run()
    }
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      at: (time, run) => clock.at(time, task(run)),
      until: (time, signal) => clock.until(time, signal),
    }
  }
}

async function* forEver<T>(dead: () => Promise<T>): AsyncGenerator<T> {
  yield await dead()
}

async function copyOf(store: MemoryStore): Promise<MemoryStore> {
  const copy = new MemoryStore()
  const all = { gte: new Uint8Array(0), lt: new Uint8Array(80).fill(255) }
  for (const name of [...Object.values(Sublevel), 'penalties', 'double-votes']) {
    for await (const [key, value] of store.sublevel(name).range(all)) {
      await copy.sublevel(name).batch([{ key, value }])
    }
  }
  return copy
}

/** Seals and attests something else each time it is asked, as a bad disk or a busy line would have it. */
function fickleHalf({ clock, voice, epochs }: KindServices, prng: Prng): NodeKind {
  return {
    kind: echoKind,
    challenged({ id }, base) {
      const { sealSlot, skewMs } = base.profile
      clock.at(slotStart(epochs.calendar, base.epoch, sealSlot) + skewMs, () => {
        const proofRoot = bytes32('proof', prng.u32())
        // A machine without power says nothing, and need not be told so.
        voice
          .say(MessageType.seal, Seal, base, { kind: ECHO, challenge: id, proofRoot })
          .catch(() => {})
      })
    },
    attest: async () => ({
      verdict: Verdict.pass,
      reason: prng.below(200),
      evidence: new Uint8Array(),
    }),
  }
}

/** One machine through its starts and stops. */
class Machine {
  readonly index: number
  readonly clock: WrongClock
  readonly #world: NodeWorld
  readonly #told: CairnError[]
  readonly #prng: Prng
  #store = new MemoryStore()
  #backup: MemoryStore | undefined
  #power = new Power()
  /** Written anew at each clean stop; a restored ledger finds another than its own. */
  #mark = 0
  node: WorldNode | undefined

  constructor(world: NodeWorld, index: number, told: CairnError[]) {
    this.index = index
    this.clock = new WrongClock(world.clock)
    this.#world = world
    this.#told = told
    this.#prng = new Prng(bytes32('fickle', index), 'half')
  }

  async start(): Promise<void> {
    if (this.node !== undefined) return
    const power = new Power()
    const mark: ClosingMark = {
      leave: async () => String(++this.#mark),
      found: async () => String(this.#mark),
    }
    const started = this.#world.node(this.index, {
      store: this.#store,
      halves: services => [fickleHalf(services, this.#prng)],
      wrapStore: store => power.disk(store),
      clock: power.clock(this.clock),
      mark,
    })
    const cut = new Promise<void>(resolve => {
      power.onCut = () => {
        this.#lose(started)
        resolve()
      }
    })
    this.#power = power
    this.node = started
    started.node.onKeyElsewhere(error => this.#told.push(error))
    await this.#world.until(Promise.race([started.node.start(), cut]))
  }

  /** Power fails after so many more writes to its disk, wherever that is. */
  cutAfter(writes: number): void {
    if (this.node !== undefined) this.#power.writesLeft = Math.max(1, writes)
  }

  /** Nothing befalls it any more. */
  async rest(): Promise<void> {
    this.#power.writesLeft = Number.POSITIVE_INFINITY
    this.clock.offsetMs = 0
    this.clock.wake()
    this.node?.chain.setDown(false)
    await this.start()
  }

  async restart(): Promise<void> {
    const { node } = this
    if (node === undefined) return
    this.#power.writesLeft = Number.POSITIVE_INFINITY
    this.node = undefined
    this.clock.wake()
    await this.#world.until(node.node.stop())
    this.#world.network.crash(peerName(this.index))
    await this.start()
  }

  async backUp(): Promise<void> {
    this.#backup = await copyOf(this.#store)
  }

  /** Its ledger is lost, and the backup takes its place. */
  async restore(): Promise<void> {
    if (this.node !== undefined || this.#backup === undefined) return
    this.clock.offsetMs = 0
    this.#store = await copyOf(this.#backup)
    this.#mark++
    await this.start()
  }

  #lose({ chain }: WorldNode): void {
    this.node = undefined
    chain.setDown(true)
    this.#world.network.crash(peerName(this.index))
    this.clock.wake()
  }
}

/** What may happen to anyone, by chance. */
async function befall(world: NodeWorld, machines: readonly Machine[], prng: Prng): Promise<string> {
  const machine = machines[prng.below(machines.length)] as Machine
  const peers = prng.shuffled(machines.map(({ index }) => peerName(index)))
  const chains = machines.flatMap(({ node }) => node?.chain ?? [])
  const { slotMs } = world.profile
  const faults: Record<string, () => void | Promise<void>> = {
    partition: () => world.network.partition([peers.slice(0, 1 + prng.below(3))]),
    heal: () => world.network.heal(),
    chainAway: () => {
      for (const chain of chains) if (prng.chance(0.5)) chain.setDown(true)
    },
    chainBack: () => {
      for (const chain of chains) chain.setDown(false)
    },
    bounce: async () => {
      machine.cutAfter(prng.below(30))
      await world.clock.run({ until: world.clock.now() + prng.below(3 * slotMs) })
      await machine.start()
    },
    powerCut: () => machine.cutAfter(prng.below(200)),
    powerBack: async () => {
      for (const each of machines) await each.start()
    },
    restart: () => machine.restart(),
    backUp: () => machine.backUp(),
    restore: () => machine.restore(),
    skew: () => {
      machine.clock.offsetMs = prng.below(6 * slotMs) - 3 * slotMs
    },
    jump: () => {
      const epochMs = slotMs * world.profile.slotsPerEpoch
      machine.clock.offsetMs = prng.chance(0.5) ? epochMs + slotMs : -epochMs - slotMs
    },
    clockRight: () => {
      for (const { clock } of machines) clock.offsetMs = 0
    },
    sleep: () => machine.clock.sleep(),
    wake: () => {
      for (const { clock } of machines) clock.wake()
    },
  }
  const names = Object.keys(faults)
  const name = names[prng.below(names.length)] as string
  await faults[name]?.()
  return `${name} ${machine.index}`
}

describe('nodes that follow the protocol', () => {
  for (const seed of SEEDS) {
    it(`lose no bond through partitions, outages, wrong clocks, power cuts and restored ledgers, and go on: seed ${seed}`, async function () {
      this.timeout(300_000)
      const world = new NodeWorld({
        nodes: NODES,
        loss: 0.02,
        latency: { min: 1, max: 400 },
        seed: `faults ${seed}`,
      })
      const prng = new Prng(bytes32(`schedule ${seed}`), 'faults')
      const told: CairnError[] = []
      const machines = Array.from({ length: NODES }, (_, index) => new Machine(world, index, told))
      for (const machine of machines) await machine.start()
      const story: string[] = []
      for (let slot = STEP_SLOTS; slot < FAULTY * world.profile.slotsPerEpoch; slot += STEP_SLOTS) {
        const at = world.time(0, slot, prng.below(1_000))
        if (at > world.clock.now()) await world.clock.run({ until: at })
        story.push(`${slot} ${await befall(world, machines, prng)}`)
      }
      world.network.heal()
      for (const machine of machines) await machine.rest()
      await world.run(Math.ceil(FAULTY) + QUIET)

      const tale = story.join(', ')
      assert.equal(world.chain.slashed.length, 0, tale)
      assert.deepEqual(told, [], tale)
      for (const { node } of machines) {
        const { offences, epochs } = (node as WorldNode).node
        assert.deepEqual(await offences.all(), [], tale)
        assert.deepEqual(await offences.doubleVotes(), [], tale)
        for (let epoch = 0; epoch < FAULTY + QUIET; epoch++) {
          assert.deepEqual(epochs.record(epoch)?.set.contradictions() ?? [], [], tale)
        }
      }
      // The last one ends where the run does.
      const landed = world.chain.accepted.map(({ epoch }) => epoch).filter(epoch => epoch >= 0)
      const all = Array.from({ length: FAULTY + QUIET - 1 }, (_, epoch) => epoch)
      assert.deepEqual(landed, all, tale)
    })
  }
})

const CHEAT = 3

/** What node 3 may do wrong about epoch 1, as messages that contradict each other. */
const CHEATS: Readonly<Record<string, (authors: KernelWorld) => Envelope[]>> = {
  'two attestations of one challenge': attestations,
  'two seals of one challenge': seals,
  'all of it at once': authors => [...attestations(authors), ...seals(authors)],
}

function attestations(authors: KernelWorld): Envelope[] {
  const target = [0, 1, 2, 4].find(index =>
    authors.base.duty(ECHO, index).verifiers.includes(CHEAT),
  ) as number
  const challenge = authors.challenge(target)
  const said = [1, 2].map(reason => authors.attestation(challenge, CHEAT, { reason }))
  return [challenge, ...said]
}

function seals(authors: KernelWorld): Envelope[] {
  const challenge = authors.challenge(CHEAT)
  const said = [1, 2].map(n => authors.seal(challenge, { proofRoot: bytes32('proof', n) }))
  return [challenge, ...said]
}

describe('a node that contradicts itself', () => {
  for (const [title, make] of Object.entries(CHEATS)) {
    it(`by ${title} loses a tenth of its bond, once`, async () => {
      const entry = (index: number) => ({ bond: (index === CHEAT ? 200n : 5_000n) * TOKEN })
      const world = new NodeWorld({ nodes: NODES, entry })
      const nodes = await world.start(0, 1, 2, 4)
      await world.run(1, world.profile.sealSlot, 500)
      const [first] = nodes as [WorldNode]
      const base = await world.base(first, 1)
      for (const message of make(world.authors(base))) {
        const { acceptance, reason } = await first.node.ingest.add(message, 'sync')
        assert.ok(acceptance === 'accept' || reason === 'known', reason)
      }
      await world.run(4)
      const slashed = world.chain.slashed.map(({ epoch, node, amount }) => ({
        epoch,
        node,
        amount,
      }))
      assert.deepEqual(slashed, [{ epoch: 1, node: CHEAT, amount: 20n * TOKEN }])
      for (const { node } of nodes) {
        const kept = await node.offences.all()
        assert.deepEqual(
          kept.map(({ epoch, node: index }) => ({ epoch, index })),
          [{ epoch: 1, index: CHEAT }],
        )
        const types: (number | undefined)[] = [MessageType.attestation, MessageType.seal]
        assert.ok(types.includes(kept[0]?.messageType))
      }
    })
  }
})
