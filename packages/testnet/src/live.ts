/** What a person sees of a running testnet: a frame redrawn in place, or a line per epoch. */
import { type Attestation, type Challenge, MessageType, slotAt } from '@cairn/protocol'
import type { EpochLine, VerdictCounts } from './summary.ts'
import type { Testnet } from './testnet.ts'

/** Where the view is written. */
export interface Screen {
  write(text: string): unknown
  isTTY?: boolean
}

const REDRAW_MS = 1_000
const CLEAR_BELOW = '\x1b[0J'
const KINDS = ['storage', 'coverage'] as const

export class LiveView {
  readonly #testnet: Testnet
  readonly #screen: Screen
  readonly #lines: EpochLine[] = []
  #timer: NodeJS.Timeout | undefined
  #height = 0

  constructor({ testnet, screen }: { testnet: Testnet; screen: Screen }) {
    this.#testnet = testnet
    this.#screen = screen
  }

  start(): void {
    if (this.#screen.isTTY !== true) return
    this.#draw()
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  epoch(line: EpochLine): void {
    this.#lines.push(line)
    if (this.#screen.isTTY !== true) this.#screen.write(`${epochText(line)}\n`)
  }

  #draw(): void {
    const lines = this.#frame()
    const up = this.#height > 0 ? `\x1b[${this.#height}A` : ''
    this.#screen.write(`${up}${CLEAR_BELOW}${lines.join('\n')}\n`)
    this.#height = lines.length
  }

  #frame(): string[] {
    const { manifest, path, rpcUrl } = this.#testnet
    const running = this.#testnet.running()
    const first = running[0]?.daemon
    if (first === undefined) return ['no node runs']
    const { epochs } = first.node
    const now = epochs.now()
    const head = first.chain.head()
    const slot = Math.floor(slotAt(epochs.calendar, now, Date.now()))
    const when =
      now < 0
        ? `genesis in ${Math.ceil(manifest.genesis - Date.now() / 1_000)} s`
        : `epoch ${now}, slot ${slot} of ${manifest.profile.slotsPerEpoch}`
    const set = epochs.record(Math.max(0, now))?.set
    const live = KINDS.map((name, place) => {
      const asked = set?.ofType<Challenge>(MessageType.challenge, place + 1).length ?? 0
      const attested = set?.ofType<Attestation>(MessageType.attestation, place + 1).length ?? 0
      return `${name} ${asked} challenges, ${attested} attestations`
    })
    const rows = this.#testnet.members.map(({ name, daemon, gate }) => {
      if (daemon === undefined) return `  ${name.padEnd(8)} stopped`
      const peers = String(daemon.network.peers().length).padStart(5)
      const accepted = String(daemon.node.checkpointer.adopted).padStart(6)
      return `  ${name.padEnd(8)}${peers}${accepted}  ${daemon.api.url}${gate.open ? '' : '  no RPC'}`
    })
    return [
      `Cairn testnet   ${when}   block ${head?.number ?? '-'}   ${rpcUrl}`,
      `now             ${live.join('; ')}`,
      ...this.#lines.slice(-6).map(epochText),
      `  node    peers epoch  API`,
      ...rows,
      `scripts: ${path}   Ctrl-C ends it`,
      ...this.#testnet.monitor.violations.map(
        ({ invariant, epoch, text }) => `BROKEN ${invariant} in epoch ${epoch}: ${text}`,
      ),
    ]
  }
}

function epochText(line: EpochLine): string {
  const kinds = KINDS.map(name => `${name} ${verdictText(line.verdicts[name])}`)
  return [
    `epoch ${String(line.epoch).padStart(4)} accepted`,
    ...kinds,
    `${line.messages} messages`,
    `gas ${line.gasUsed}`,
    line.transaction,
  ].join('   ')
}

function verdictText({ pass, fail, inconclusive }: VerdictCounts): string {
  return `${pass} pass ${fail} fail ${inconclusive} inconclusive`
}
