import { strict as assert } from 'node:assert'
import type { Log } from '@cairn/node'
import { hex, type StorageState, storageKind } from '@cairn/protocol'
import { chooseFastHasher, type SimulatedNode, World } from '@cairn/testnet'
import { pattern, stream } from './world.ts'

const EPOCHS = 50
/** All but two offer disk; the last one is the client. */
const NODES = 12
const PROVIDERS = 10
/** A dead provider is back after so many epochs, with an empty disk. */
const AWAY = 9
/** It is found out and its shards are made again in at most so many. */
const HEALED_WITHIN = 12
const DEATHS_MIN = 4

const nameOf = (index: number) => `node${index + 1}`

/** A network in which one provider after the other loses what it keeps. */
class Mortality {
  readonly world: World
  /** Texts of what the client could not do. */
  readonly failures: string[] = []
  readonly died: { name: string; epoch: number }[] = []

  constructor(seed: number) {
    const note = (_: object, text: string) => {
      if (text.includes('repaired')) this.failures.push(text)
    }
    const client: Log = { error: note, warn: note, info() {}, debug() {}, child: () => client }
    const other: Log = { error() {}, warn() {}, info() {}, debug() {}, child: () => other }
    this.world = new World({
      nodes: NODES,
      providers: PROVIDERS,
      gateways: 0,
      seed,
      loss: 0,
      log: node => (node === nameOf(NODES - 1) ? client : other),
    })
  }

  get client(): SimulatedNode {
    return this.#node(nameOf(NODES - 1)) ?? assert.fail()
  }

  async begin(): Promise<void> {
    await chooseFastHasher()
    await this.world.begin()
    const started = this.world.start()
    await this.#to(0)
    await started
  }

  /** The middle of an epoch, when the checkpoint of the one before is adopted. */
  async toEpoch(epoch: number): Promise<void> {
    await this.#to(epoch + 0.5)
    for (const { name, epoch: death } of this.died) {
      if (death + AWAY === epoch) await this.run(this.world.revive(name))
    }
  }

  /** Runs a task while virtual time passes. */
  async run<T>(task: Promise<T>): Promise<T> {
    let ended = false
    const end = () => {
      ended = true
    }
    task.then(end, end)
    while (!ended) await this.world.clock.run({ until: this.world.clock.now() + 20 })
    return await task
  }

  async put(names: readonly string[], data: number, total: number): Promise<Map<string, Buffer>> {
    const { signal } = new AbortController()
    const contents = names.map((_, i) => pattern(6_000 + 100 * i, total + i))
    const entries = names.map((name, i) => ({ name, bytes: stream(contents[i] as Uint8Array) }))
    const put = this.client.files.put(entries, { shape: { data, total }, signal })
    const { files } = await this.run(put)
    return new Map(files.map(({ link }, i) => [link, Buffer.from(contents[i] as Uint8Array)]))
  }

  async get(link: string): Promise<Buffer> {
    const { signal } = new AbortController()
    const { files } = this.client
    const read = async () => {
      const parts: Uint8Array[] = []
      const { stream: content } = await files.get(link, {}, signal)
      for await (const part of content) parts.push(part)
      return Buffer.concat(parts)
    }
    return await this.run(read())
  }

  /** Kills the provider that keeps some of the files and has lived longest since it died last. */
  async kill(epoch: number): Promise<string> {
    const lastDeath = (name: string) => this.died.findLast(dead => dead.name === name)?.epoch ?? -1
    const keepers = (await this.#keepers()).filter(name => this.#node(name) !== undefined)
    const [name] = keepers.sort((a, b) => lastDeath(a) - lastDeath(b))
    assert.ok(name)
    const node = this.world.crash(name) ?? assert.fail()
    this.died.push({ name, epoch })
    await this.run(this.world.bury(node))
    return name
  }

  /** Names of providers under a deal that the client made since the beginning. */
  async #keepers(): Promise<string[]> {
    const { node } = this.client
    const parent = await node.settlements.accepted(node.checkpointer.adopted)
    const { deals } = parent?.state.of<StorageState>(storageKind) ?? assert.fail()
    const client = hex(this.world.places.at(-1)?.signer.identity ?? assert.fail())
    const own = deals.filter(deal => deal.startEpoch > 0 && hex(deal.client) === client)
    return [...new Set(own.map(({ provider }) => nameOf(provider)))]
  }

  async #to(epochs: number): Promise<void> {
    const { slotMs, slotsPerEpoch } = this.world.profile
    await this.world.clock.run({
      until: this.world.genesis * 1_000 + Math.round(epochs * slotMs * slotsPerEpoch),
    })
  }

  #node(name: string): SimulatedNode | undefined {
    return this.world.nodes.find(node => node.name === name)
  }
}

describe('files whose providers die one after another for fifty epochs', function () {
  this.timeout(600_000)

  it('stay readable in every epoch, and are whole again after every death', async () => {
    const network = new Mortality(11)
    await network.begin()
    await network.toEpoch(1)
    const files = new Map([
      ...(await network.put(['alone'], 3, 6)),
      ...(await network.put(['packed', 'beside'], 2, 5)),
    ])
    const repairs = () => network.run(network.client.files.repairs(undefined, { now: false }))
    let wholeSince = 0
    let spare = Number.POSITIVE_INFINITY
    for (let epoch = 2; epoch <= EPOCHS; epoch++) {
      await network.toEpoch(epoch)
      for (const [link, bytes] of files) assert.deepEqual(await network.get(link), bytes)
      for (const { shards = 0, k } of await network.run(network.client.files.list())) {
        spare = Math.min(spare, shards - k)
      }
      const { groups, whole, shown } = await repairs()
      assert.equal(groups, 4, 'a group of shards and one of manifests for each upload')
      wholeSince = whole === groups ? wholeSince + 1 : 0
      const dead = network.died.at(-1)
      const isNoticed =
        dead === undefined ||
        shown.some(({ losses }) => losses.some(loss => loss.epoch > dead.epoch))
      const sick = dead === undefined || (isNoticed && wholeSince > 0) ? 0 : epoch - dead.epoch
      assert.ok(sick <= HEALED_WITHIN, `not whole ${sick} epochs after ${dead?.name} died`)
      // Somebody else dies once the last death was noticed and healed.
      if (epoch > 3 && isNoticed && wholeSince > 1) await network.kill(epoch)
    }
    const { repaired, shown } = await repairs()
    const lost = shown.reduce((sum, { losses }) => sum + losses.length, 0)
    assert.ok(network.died.length >= DEATHS_MIN, `${network.died.length} deaths`)
    assert.ok(lost > network.died.length && spare > 0, `${lost} losses, ${spare} shards to spare`)
    assert.equal(repaired, lost, 'each place is made again once')
    assert.deepEqual(network.failures, [])
  })
})
