import { strict as assert } from 'node:assert'
import { Entrusting, type Log } from '@cairn/node'
import { type Deal, decode, hex, type StorageState, storageKind } from '@cairn/protocol'
import { chooseFastHasher, type SimulatedNode, World } from '@cairn/testnet'
import { pattern, stream } from './world.ts'

/** A dead provider is back after so many epochs, with an empty disk. */
const AWAY = 9

export const nameOf = (index: number) => `node${index + 1}`

export interface FileWorldInit {
  /** The last one is the client. */
  nodes: number
  providers: number
  seed: number
}

/** A simulated network in which one node stores files, and providers lose what they keep. */
export class FileWorld {
  readonly world: World
  /** Texts of what the client could not do. */
  readonly failures: string[] = []
  readonly died: { name: string; epoch: number }[] = []

  readonly #init: FileWorldInit

  constructor(init: FileWorldInit) {
    this.#init = init
    const note = (_: object, text: string) => {
      if (text.includes('repaired')) this.failures.push(text)
    }
    const client: Log = { error: note, warn: note, info() {}, debug() {}, child: () => client }
    const other: Log = { error() {}, warn() {}, info() {}, debug() {}, child: () => other }
    this.world = new World({
      ...init,
      gateways: 0,
      loss: 0,
      log: node => (node === nameOf(init.nodes - 1) ? client : other),
    })
  }

  get client(): SimulatedNode {
    return this.node(nameOf(this.#init.nodes - 1)) ?? assert.fail()
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

  /** With the client, or with another node. */
  async get(link: string, { files }: SimulatedNode = this.client): Promise<Buffer> {
    const { signal } = new AbortController()
    const read = async () => {
      const parts: Uint8Array[] = []
      const { stream: content } = await files.get(link, {}, signal)
      for await (const part of content) parts.push(part)
      return Buffer.concat(parts)
    }
    return await this.run(read())
  }

  async crash(name: string): Promise<void> {
    const node = this.world.crash(name) ?? assert.fail()
    await this.run(this.world.bury(node))
  }

  /** Kills the provider that keeps some of the files and has lived longest since it died last. */
  async kill(epoch: number): Promise<string> {
    const lastDeath = (name: string) => this.died.findLast(dead => dead.name === name)?.epoch ?? -1
    const keepers = (await this.#keepers()).filter(name => this.node(name) !== undefined)
    const [name] = keepers.sort((a, b) => lastDeath(a) - lastDeath(b))
    assert.ok(name)
    this.died.push({ name, epoch })
    await this.crash(name)
    return name
  }

  /** What clients gave a node as their delegate, as it lies on its disk. */
  async entrusted(name: string): Promise<Entrusting[]> {
    const store = this.world.store(name).sublevel('files').sublevel('entrusted')
    const found: Entrusting[] = []
    const all = { gte: new Uint8Array(0), lt: new Uint8Array(65).fill(255) }
    for await (const [, value] of store.range(all)) found.push(decode(Entrusting, value))
    return found
  }

  async #keepers(): Promise<string[]> {
    return [...new Set((await this.deals()).map(({ provider }) => nameOf(provider)))]
  }

  /** Carried deals that the client made since the beginning. */
  async deals({ node }: SimulatedNode = this.client): Promise<Deal[]> {
    const parent = await node.settlements.accepted(node.checkpointer.adopted)
    const { deals } = parent?.state.of<StorageState>(storageKind) ?? assert.fail()
    const client = hex(this.world.places.at(-1)?.signer.identity ?? assert.fail())
    return deals.filter(deal => deal.startEpoch > 0 && hex(deal.client) === client)
  }

  async #to(epochs: number): Promise<void> {
    const { slotMs, slotsPerEpoch } = this.world.profile
    await this.world.clock.run({
      until: this.world.genesis * 1_000 + Math.round(epochs * slotMs * slotsPerEpoch),
    })
  }

  node(name: string): SimulatedNode | undefined {
    return this.world.nodes.find(node => node.name === name)
  }
}
