/** `cairn testnet up`: runs a testnet, stores a file in it, watches it, and sums up. */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContractAddresses } from '@cairn/contracts'
import type { AcceptedCheckpoint, Daemon, Log, Settled } from '@cairn/node'
import { CairnError, COVERAGE, check } from '@cairn/protocol'
import type { Hex } from 'viem'
import { askTestnet, FAULTS, type Fault, TestnetStatus } from './control.ts'
import type { CheatGroup } from './field/residents.ts'
import { GatewayTally } from './gateway-tally.ts'
import { LiveView, type Screen } from './live.ts'
import { violationText } from './monitor.ts'
import { claimAll, type Gift, giveTo } from './payouts.ts'
import {
  carriedDeals,
  type EpochLine,
  epochLine,
  epochText,
  type Summary,
  summaryText,
  totals,
} from './summary.ts'
import { preparationOf, Testnet } from './testnet.ts'
import { readTestnetFile, testnetFilePath } from './testnet-file.ts'
import { verifyInclusions } from './verification.ts'

export interface TestnetUpOptions {
  dataDir: string
  nodes: number
  /** Nodes with a radio; all unless given. */
  gateways?: number
  /** Radios of each that has one; 1 unless given. */
  radiosPerNode?: number
  /** Nodes that offer disk; four, or all of fewer, unless given. */
  providers?: number
  seed: number
  /** The last gateways cheat in the radio field. */
  cheats?: readonly CheatGroup[]
  /** What to store; a made file of 32 MiB unless given. */
  file?: string
  /** Ends after so many checkpoints from the first epoch in which both kinds had a duty. */
  checkpoints?: number
  json: boolean
}

export interface TestnetUpComponents {
  screen: Screen
  log: Log
  /** Ends the testnet. */
  signal: AbortSignal
}

const PROVIDERS_DEFAULT = 4
const FILE_BYTES = 32 * 1024 * 1024
/** Without a checkpoint for so many epochs the testnet is stuck. */
const STALL_EPOCHS = 6
/** Nodes that lag behind the first one have adopted an epoch within this time, ms. */
const SETTLING_MS = 15_000
/** A client signs for the last bytes a second after them; on a busy machine later, ms. */
const RECEIPTS_MS = 15_000
const SETTLING_POLL_MS = 50
/** Summing up, fetching the file and closing 64 nodes takes a busy machine a minute or two, ms. */
const DOWN_MS = 300_000
const DOWN_POLL_MS = 100
/** Starts of a testnet that is not ready by genesis. */
const ATTEMPTS = 4
/** Fetching the file at the end takes a second; by then it may be that nobody waits any more, ms. */
const FETCH_MS = 20_000

interface Accepted {
  accepted: AcceptedCheckpoint
  settled: Settled
}

/** Exit code: 0, or 1 when an invariant is broken. Everything is taken down before it resolves. */
export async function testnetUp(
  options: TestnetUpOptions,
  { screen, log, signal }: TestnetUpComponents,
): Promise<number> {
  const providers = options.providers ?? Math.min(PROVIDERS_DEFAULT, options.nodes)
  const gateways = options.gateways ?? options.nodes
  check(
    providers <= options.nodes && gateways <= options.nodes,
    'badTestnet',
    'there are more providers or gateways than nodes',
    { facts: { nodes: options.nodes, providers, gateways } },
  )
  check(
    keepersFor(options.nodes, providers) >= 1,
    'badTestnet',
    'a testnet stores a file: beside the node that puts it one at least offers disk',
    { facts: { nodes: options.nodes, providers } },
  )
  if (options.file !== undefined) await requireFile(options.file)
  for (let attempt = 1; ; attempt++) {
    try {
      return await runOnce({ ...options, providers, gateways }, { screen, log, signal }, attempt)
    } catch (error) {
      const late = error instanceof CairnError && error.code === 'genesisPassed'
      if (!late || attempt === ATTEMPTS || signal.aborted) throw error
      log.warn(
        { attempt },
        'the machine is busy: genesis came too soon, begins again with more time',
      )
    }
  }
}

/** Each attempt gives itself twice the time to genesis of the one before. */
async function runOnce(
  options: TestnetUpOptions & { providers: number; gateways: number },
  components: TestnetUpComponents,
  attempt: number,
): Promise<number> {
  const { dataDir, nodes, seed, providers, gateways, radiosPerNode = 1, cheats = [] } = options
  const { log, screen } = components
  const progress = (text: string) => {
    if (!options.json) screen.write(`${text}\n`)
  }
  const preparationS = preparationOf(nodes) * 2 ** (attempt - 1)
  const testnet = await Testnet.start({
    dataDir,
    nodes,
    providers,
    gateways,
    radiosPerNode,
    seed,
    cheats,
    log,
    preparationS,
    progress,
  })
  try {
    return await new Run(testnet, options, { ...components, progress }).toTheEnd(providers)
  } finally {
    await testnet.stop()
  }
}

/**
 * Ends the testnet that runs from a directory, and waits until it has: its file goes last. Throws
 * `noTestnet`, or `testnetStopping` where it takes longer than `DOWN_MS`.
 */
export async function testnetDown(dataDir: string, signal: AbortSignal): Promise<void> {
  const { pid } = await readTestnetFile(dataDir)
  await askTestnet(dataDir, 'POST', '/down')
  const end = performance.now() + DOWN_MS
  while (await isThere(testnetFilePath(dataDir))) {
    check(performance.now() < end, 'testnetStopping', 'the testnet is still being taken down', {
      facts: { pid, waitedS: DOWN_MS / 1_000 },
      next: `look after process ${pid}, which runs it`,
    })
    await sleep(DOWN_POLL_MS, undefined, { signal })
  }
}

/** Sends an account of the testnet that runs from a directory ether and tokens. Throws `noTestnet`. */
export async function testnetGive(dataDir: string, gift: Gift): Promise<{ transactions: Hex[] }> {
  // The file of one that was killed names a chain that is no more.
  await askTestnet(dataDir, 'GET', '/status')
  const { chain } = await readTestnetFile(dataDir)
  return await giveTo({ rpcUrl: chain.rpc, contracts: chain.contracts as ContractAddresses }, gift)
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}

export async function testnetStatus(dataDir: string): Promise<TestnetStatus> {
  return TestnetStatus.parse(await askTestnet(dataDir, 'GET', '/status'))
}

/** Throws `usage` for a fault that there is not. */
export async function testnetFault(
  dataDir: string,
  fault: string,
  nodes: readonly string[],
): Promise<Record<string, unknown>> {
  check(isFault(fault), 'usage', `there is no fault '${fault}'`, {
    facts: { known: FAULTS.join(', ') },
    next: `use one of ${FAULTS.join(', ')}`,
  })
  return await askTestnet(dataDir, 'POST', '/fault', { fault, nodes })
}

interface RunComponents extends TestnetUpComponents {
  /** Tells people what has been done. */
  progress(text: string): void
}

class Run {
  readonly #testnet: Testnet
  readonly #options: TestnetUpOptions
  readonly #components: RunComponents
  readonly #view: LiveView
  readonly #lines: EpochLine[] = []
  readonly #gateways = new GatewayTally()
  /** The last accepted epoch in which every kind had verdicts; until there is one, the last. */
  #shown: (Accepted & { complete: boolean }) | undefined
  /** Accepted since the first such epoch, that one included. */
  #counted = 0
  readonly #ended = new AbortController()
  #summing = false
  #firstCheckpointMs: number | undefined

  constructor(testnet: Testnet, options: TestnetUpOptions, components: RunComponents) {
    this.#testnet = testnet
    this.#options = options
    this.#components = components
    this.#view = new LiveView({ testnet, screen: components.screen })
  }

  async toTheEnd(providers: number): Promise<number> {
    const { signal, progress } = this.#components
    const over = AbortSignal.any([signal, this.#ended.signal])
    this.#testnet.monitor.onEpoch((accepted, settled) => this.#accepted(accepted, settled))
    const file = await this.#put(providers, over)
    await this.#testnet.begin()
    const path = await this.#testnet.open(() => this.#ended.abort())
    progress(`scripts find it in ${path}`)
    progress(this.#times())
    if (!this.#options.json) this.#view.start()
    try {
      await this.#watch(over)
      // What is accepted from here on is neither printed nor summed up.
      this.#summing = true
      this.#view.stop()
      if (this.#shown === undefined) {
        progress('no checkpoint was accepted')
        return 0
      }
      const summary = await this.#summary(this.#shown, file, providers)
      const code = this.#verdict(summary)
      this.#print({ summary }, summaryText(summary))
      return code
    } finally {
      this.#view.stop()
    }
  }

  /** Stores the file from the last node; resolves with its link and hash. */
  async #put(providers: number, signal: AbortSignal): Promise<StoredFile> {
    const { daemon } = this.#testnet.running().at(-1) as { daemon: Daemon }
    const hash = createHash('sha256')
    const { file } = this.#options
    const source = file === undefined ? madeFile() : createReadStream(file)
    const put = await this.#testnet.early(() =>
      daemon.view.put([{ name: 'file', bytes: hashed(source, hash) }], {
        // Of a single provider no shard may be lost: nobody gets that without asking for it.
        ...(keepersFor(this.#options.nodes, providers) === 1
          ? { shape: { data: 1, total: 1 } }
          : {}),
        signal,
      }),
    )
    const { files, k, n } = put
    const link = files[0]?.link as string
    this.#components.progress(`file stored with ${n} providers, of which any ${k} suffice: ${link}`)
    return { link, k, n, sha256: hash.digest('hex') }
  }

  /** When there is something to see. */
  #times(): string {
    const { genesis, profile } = this.#testnet.manifest
    const epochS = (profile.slotMs * profile.slotsPerEpoch) / 1_000
    const left = Math.max(0, Math.ceil(genesis - Date.now() / 1_000))
    const at = new Date(genesis * 1_000).toISOString()
    return `genesis at ${at}, in ${left} s; an epoch takes ${epochS} s, and is accepted soon after`
  }

  #accepted(accepted: AcceptedCheckpoint, settled: Settled): void {
    if (this.#summing) return
    this.#firstCheckpointMs ??= Date.now() - performance.timeOrigin
    const line = epochLine(accepted, settled)
    const complete = this.#isComplete(settled)
    if (complete || this.#shown?.complete !== true) this.#shown = { accepted, settled, complete }
    if (complete || this.#counted > 0) this.#counted++
    this.#lines.push(line)
    this.#gateways.observe(settled)
    this.#view.epoch(line)
    const { json } = this.#options
    if (json || this.#components.screen.isTTY !== true) this.#print(line, epochText(line))
    if (this.#counted >= (this.#options.checkpoints ?? Number.POSITIVE_INFINITY)) {
      this.#ended.abort()
    }
  }

  /** Every kind has verdicts; without gateways nothing is asked of coverage. */
  #isComplete({ settlement }: Settled): boolean {
    return settlement.kinds.every(
      ({ kind, verdicts }) =>
        verdicts.length > 0 || (kind === COVERAGE && this.#options.gateways === 0),
    )
  }

  /** Resolves when it is over; rejects with `testnetStalled` when no checkpoint comes any more. */
  async #watch(over: AbortSignal): Promise<void> {
    const { slotMs, slotsPerEpoch } = this.#testnet.manifest.profile
    const epochMs = slotMs * slotsPerEpoch
    const start = this.#testnet.manifest.genesis * 1_000
    while (!over.aborted) {
      const last = this.#lines.at(-1)?.epoch ?? -1
      const behind = (Date.now() - start) / epochMs - 1 - last
      check(
        behind < STALL_EPOCHS || this.#testnet.disturbed.size > 0,
        'testnetStalled',
        `no checkpoint was accepted after epoch ${last}`,
        {
          facts: { last },
          next: 'run it with fewer nodes if this machine is busy, or with --log-level debug',
        },
      )
      await wait(slotMs, over)
      await this.#testnet.monitor.checkAcknowledged(last)
    }
  }

  async #summary(last: Accepted, file: StoredFile, providers: number): Promise<Summary> {
    const { monitor, members, rpcUrl, contracts } = this.#testnet
    const cheats = this.#testnet.fieldCheats()
    await this.#allSettled((this.#lines.at(-1) as EpochLine).epoch)
    const running = this.#testnet.running()
    const prover = running[0]
    if (prover === undefined) throw new CairnError('nodeStopped', 'no node runs any more')
    const proven = await verifyInclusions({
      daemon: prover.daemon,
      settled: last.settled,
      accepted: last.accepted.root,
      rpcUrl,
      checkpoints: contracts.checkpoints,
    })
    const { checkpoint, state } = last.settled.settlement
    const { payouts } = state.core
    const payoutsClaimed = await claimAll({ rpcUrl, contracts }, { checkpoint, payouts })
    monitor.requireRecomputed(
      this.#lines.map(({ epoch }) => epoch),
      running.map(({ name }) => name).filter(name => !this.#testnet.disturbed.has(name)),
    )
    await monitor.checkAcknowledged(last.accepted.epoch)
    const { epochs, ...sums } = totals(this.#lines)
    const fileRetrievedIdentical = await this.#isRetrievable(file, providers)
    return {
      nodes: members.length,
      epochs,
      checkpointsAccepted: epochs,
      ...sums,
      inclusionVerifiedOnChain: proven.onChain,
      inclusionVerifiedOffline: proven.offline,
      payoutsClaimed,
      k: file.k,
      n: file.n,
      shards: carriedDeals(last.settled),
      repairs: await this.#repairs(),
      bytesServed: await this.#bytesServed(),
      fileRetrievedIdentical,
      firstCheckpointMs: Math.round(this.#firstCheckpointMs as number),
      payoutsSumExact: !monitor.violations.some(({ invariant }) => invariant === 'sumsExact'),
      ...(cheats.size > 0 && { gateways: this.#gateways.lines(cheats) }),
    }
  }

  /** Of all nodes: any may have put files of its own. */
  async #repairs(): Promise<number> {
    const views = this.#testnet.running().map(({ daemon }) => daemon.view)
    const found = await Promise.all(views.map(view => view.repairs(undefined, { now: false })))
    return found.reduce(
      (sum, { repaired, repairedForOthers }) => sum + repaired + repairedForOthers,
      0,
    )
  }

  /** Fetches the file with a node that neither put it nor keeps any of it, where there is one. */
  async #isRetrievable({ link, sha256 }: StoredFile, providers: number): Promise<boolean> {
    const running = this.#testnet.running()
    const strangers = running.slice(providers, -1)
    const { daemon } = strangers.at(-1) ?? (running.at(-1) as (typeof running)[number])
    const hash = createHash('sha256')
    try {
      const { stream } = await daemon.view.get(link, {}, AbortSignal.timeout(FETCH_MS))
      for await (const part of stream) hash.update(part)
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      this.#components.log.error({ err: error }, 'the file could not be fetched')
      return false
    }
    return hash.digest('hex') === sha256
  }

  /** By the receipts that providers have, once clients have signed for all that came. */
  async #bytesServed(): Promise<number> {
    const until = Date.now() + RECEIPTS_MS
    const all = () =>
      Promise.all(this.#testnet.running().map(({ daemon }) => daemon.view.service()))
    const isSigned = (services: Awaited<ReturnType<typeof all>>) =>
      services.every(({ providers }) =>
        providers.every(({ received, signed }) => received === signed),
      )
    let services = await all()
    while (!isSigned(services) && Date.now() < until) {
      await new Promise(resolve => setTimeout(resolve, SETTLING_POLL_MS))
      services = await all()
    }
    const receipted = services.flatMap(({ clients }) => clients.map(client => client.receipted))
    return Number(receipted.reduce((sum, bytes) => sum + bytes, 0n))
  }

  /** Waits until the nodes that lag behind the first have adopted an epoch too. */
  async #allSettled(epoch: number): Promise<void> {
    const until = Date.now() + SETTLING_MS
    const behind = () =>
      this.#testnet.running().some(({ daemon }) => daemon.node.checkpointer.adopted < epoch)
    while (behind() && Date.now() < until) {
      await new Promise(resolve => setTimeout(resolve, SETTLING_POLL_MS))
    }
  }

  #verdict(summary: Summary): number {
    const { violations } = this.#testnet.monitor
    for (const violation of violations) this.#components.log.error(violation, 'an invariant broke')
    const asked = this.#options.checkpoints !== undefined
    const complete =
      summary.inclusionVerifiedOnChain &&
      summary.inclusionVerifiedOffline &&
      summary.payoutsClaimed &&
      summary.fileRetrievedIdentical &&
      summary.payoutsSumExact
    if (violations.length > 0) {
      this.#print({ violations }, violations.map(violationText).join('\n'))
    }
    return violations.length > 0 || (asked && !complete) ? 1 : 0
  }

  #print(value: object, text: string): void {
    const { json } = this.#options
    this.#components.screen.write(`${json ? JSON.stringify(value) : text}\n`)
  }
}

/** Providers that the last node, which puts the file, can store it with: any but itself. */
function keepersFor(nodes: number, providers: number): number {
  return Math.min(providers, nodes - 1)
}

interface StoredFile {
  link: string
  k: number
  n: number
  sha256: string
}

async function* madeFile(): AsyncGenerator<Uint8Array> {
  const part = 1024 * 1024
  for (let at = 0; at < FILE_BYTES; at += part) yield randomBytes(part)
}

async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  check(found?.isFile() === true, 'noFile', `there is no file at ${path}`, { facts: { path } })
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array> {
  for await (const part of source) {
    hash.update(part)
    yield part
  }
}

function isFault(text: string): text is Fault {
  return (FAULTS as readonly string[]).includes(text)
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
