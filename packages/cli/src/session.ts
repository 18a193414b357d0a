/** What a command works with: its options, configuration, output and the daemon's API. */
import type { Json, NodeStatus } from '@cairn/node'
import { CairnError, check, hex } from '@cairn/protocol'
import { ApiClient } from './api-client.ts'
import { type Config, isKey, loadConfig, unknownKey } from './config/config.ts'
import type { KeyName } from './config/keys.ts'
import { isSecret } from './config/reference.ts'
import { readManifest } from './manifest.ts'
import type { Output } from './output.ts'
import type { World } from './world.ts'

/** Options that every command takes. */
export interface GlobalOptions {
  json?: boolean
  dataDir?: string
  network?: string
  logLevel?: string
  config?: string
  set?: string[]
}

export interface SessionInit {
  world: World
  output: Output
  options: GlobalOptions
  /** Aborts with `interrupted` at the first request to stop. */
  signal: AbortSignal
}

export class Session {
  readonly world: World
  readonly output: Output
  readonly signal: AbortSignal
  #options: GlobalOptions
  #config: Promise<Config> | undefined

  constructor({ world, output, options, signal }: SessionInit) {
    this.world = world
    this.output = output
    this.signal = signal
    this.#options = options
  }

  /**
   * For commands whose `--set` names parameters of the network too: what names no setting, and is none
   * from here on. Throws `usage`.
   */
  takeParameters(): (readonly [name: string, value: string])[] {
    const { set = [] } = this.#options
    const isSetting = (assignment: string) => isKey(parted(assignment)[0])
    this.#options = { ...this.#options, set: set.filter(isSetting) }
    return set.filter(assignment => !isSetting(assignment)).map(parted)
  }

  /** Read once. Throws as `loadConfig`. */
  config(): Promise<Config> {
    this.#config ??= loadConfig({
      world: this.world,
      flags: flagsOf(this.#options),
      file: this.#options.config,
    })
    return this.#config
  }

  /**
   * The running daemon. Rejects with `notRunning`; where the command line names a network, with
   * `badManifest`, or `otherNetwork` unless it is the daemon's.
   */
  async api(): Promise<ApiClient> {
    const { values, origin } = await this.config()
    const { dataDir, network } = values
    const named = NETWORK_FLAGS.has(origin.network) ? await networkAt(network) : undefined
    const api = await ApiClient.connect({ dataDir, signal: this.signal })
    if (named !== undefined) {
      const { network: its } = await api.json<Json<NodeStatus>>('/v1/status')
      check(its.id === named.id, 'otherNetwork', `the daemon on ${dataDir} is of another network`, {
        facts: { named: named.name, daemon: its.name, id: its.id, dataDir },
        next: `leave --network out to mean ${its.name}, or name a directory of ${named.name} with --data-dir`,
      })
    }
    return api
  }
}

const NETWORK_FLAGS = new Set(['--network', '--set'])

async function networkAt(path: string): Promise<{ id: string; name: string }> {
  const { networkIdOf, parseManifest } = await import('@cairn/node')
  const manifest = parseManifest(await readManifest(path))
  return { id: hex(networkIdOf(manifest)), name: manifest.name }
}

function parted(assignment: string): readonly [name: string, value: string] {
  const [, name = '', value] = assignment.match(/^([^=]+)=(.*)$/s) ?? []
  if (value === undefined) {
    throw new CairnError('usage', `--set expects KEY=VALUE, found '${assignment}'`)
  }
  return [name, value]
}

function flagsOf(options: GlobalOptions): Map<KeyName, { text: string; flag: string }> {
  const flags = new Map<KeyName, { text: string; flag: string }>()
  for (const assignment of options.set ?? []) {
    const [name, value] = parted(assignment)
    if (!isKey(name)) throw unknownKey(name, 'flag --set')
    if (isSecret(name)) {
      throw new CairnError('usage', `${name} may hold a credential and is no flag`, {
        next: 'set it in the configuration file or the environment',
      })
    }
    flags.set(name, { text: value, flag: '--set' })
  }
  const { dataDir, network, logLevel } = options
  if (dataDir !== undefined) flags.set('dataDir', { text: dataDir, flag: '--data-dir' })
  if (network !== undefined) flags.set('network', { text: network, flag: '--network' })
  if (logLevel !== undefined) flags.set('logLevel', { text: logLevel, flag: '--log-level' })
  return flags
}
