/** What a person sees of a running testnet on a terminal: a frame that is redrawn in place. */
import { type Attestation, type Challenge, MessageType, slotAt } from '@cairn/protocol'
import { violationText } from './monitor.ts'
import { type EpochLine, shortEpochText } from './summary.ts'
import type { Testnet } from './testnet.ts'

/** Where the view is written. */
export interface Screen {
  write(text: string): unknown
  isTTY?: boolean
  /** Of a terminal, in characters. */
  columns?: number
  rows?: number
}

const REDRAW_MS = 1_000
const CLEAR_BELOW = '\x1b[0J'
/** Of a terminal that does not say its size. */
const COLUMNS = 80
const ROWS = 24
/** Accepted epochs shown. */
const EPOCHS_SHOWN = 6
const KINDS = ['storage', 'coverage'] as const

export class LiveView {
  readonly #testnet: Testnet
  readonly #frame: Frame
  readonly #screen: Screen
  readonly #lines: EpochLine[] = []
  #timer: NodeJS.Timeout | undefined

  constructor({ testnet, screen }: { testnet: Testnet; screen: Screen }) {
    this.#testnet = testnet
    this.#screen = screen
    this.#frame = new Frame(screen)
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
  }

  #draw(): void {
    this.#frame.draw(this.#text())
  }

  #text(): string[] {
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
      const accepted = String(daemon.node.checkpointer.adopted).padStart(9)
      return `  ${name.padEnd(8)}${peers}${accepted}  ${daemon.api.url}${gate.open ? '' : '  no RPC'}`
    })
    return [
      ...this.#testnet.monitor.violations.map(violationText),
      `Cairn testnet   ${when}   block ${head?.number ?? '-'}   ${rpcUrl}`,
      ...live.map(text => `now        ${text}`),
      ...this.#lines.slice(-EPOCHS_SHOWN).map(shortEpochText),
      `Ctrl-C ends it; scripts: ${path}`,
      `  node    peers accepted  API`,
      ...rows,
    ]
  }
}

/** Lines that are written over those of the last time. */
export class Frame {
  readonly #screen: Screen
  /** Lines of the screen that the last one took. */
  #height = 0

  constructor(screen: Screen) {
    this.#screen = screen
  }

  /** Longer lines are folded; of more than the screen has, those below go unseen. */
  draw(lines: readonly string[]): void {
    const { columns = COLUMNS, rows = ROWS } = this.#screen
    const folded = lines.flatMap(line => fold(line, Math.max(1, columns)))
    // The cursor stands below the frame, and cannot go up beyond the first line of the screen.
    const room = Math.max(1, rows - 1)
    const left = folded.length - room
    const shown = left > 0 ? [...folded.slice(0, room - 1), `  and ${left + 1} lines more`] : folded
    const up = this.#height > 0 ? `\x1b[${this.#height}A` : ''
    this.#screen.write(`${up}${CLEAR_BELOW}${shown.join('\n')}\n`)
    this.#height = shown.length
  }
}

/** As a terminal does it; its texts are one column a character. */
function fold(line: string, columns: number): string[] {
  const lines = Math.max(1, Math.ceil(line.length / columns))
  return Array.from({ length: lines }, (_, at) => line.slice(at * columns, (at + 1) * columns))
}
