/** Judges this node's clock by the median of other operators' nodes. */
import type { Sync } from './ledger/sync.ts'

export interface ClockCheckComponents {
  sync: Pick<Sync, 'statuses'>
  /** Peer ids of registered nodes, one per operator at most: who can be asked costs a bond each. */
  registered(): readonly string[]
}

export interface ClockCheckInit {
  /** What a clock may be off, ms. */
  skewMs: number
}

/** Peers asked, and how many must answer for a judgement. */
const PEERS_ASKED = 8
const PEERS_NEEDED = 3

export class ClockCheck {
  readonly #components: ClockCheckComponents
  readonly #skewMs: number
  #offsetMs: number | undefined

  constructor(components: ClockCheckComponents, { skewMs }: ClockCheckInit) {
    this.#components = components
    this.#skewMs = skewMs
  }

  /**
   * Median of the least that the peers' clocks are from this one's, ms; undefined while fewer than
   * three answer.
   */
  get offsetMs(): number | undefined {
    return this.#offsetMs
  }

  get off(): boolean {
    return this.#offsetMs !== undefined && Math.abs(this.#offsetMs) > this.#skewMs
  }

  /** Asks others once in an epoch: each epoch those that come after the ones asked before. */
  async run(epoch: number): Promise<void> {
    const { registered, sync } = this.#components
    const statuses = await sync.statuses(drawn(registered(), epoch))
    const offsets = statuses.map(({ offsetMs }) => offsetMs).sort((a, b) => a - b)
    // Too few answers say nothing, and what others said an epoch ago is no judgement of today.
    this.#offsetMs =
      offsets.length < PEERS_NEEDED ? undefined : offsets[Math.floor(offsets.length / 2)]
  }
}

function drawn(peers: readonly string[], epoch: number): string[] {
  const begin = peers.length === 0 ? 0 : (epoch * PEERS_ASKED) % peers.length
  return [...peers.slice(begin), ...peers.slice(0, begin)].slice(0, PEERS_ASKED)
}
