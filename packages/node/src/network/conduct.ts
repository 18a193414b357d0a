import type { Clock } from '../ports.ts'
import type { Count, Offence } from './count.ts'

/**
 * Points of each offence. Gossipsub ignores a peer below -80 (its graylist): two broken frames may
 * be a bug or a version skew, the third is not worth talking to for a while.
 */
const POINTS: Record<Offence, number> = {
  malformed: 30,
  oversized: 30,
  flood: 30,
  unread: 15,
  uninvited: 15,
}

/** A peer with more points than this is not connected to. */
const BANNED_ABOVE = 80

/** Time in which points halve, ms: a fault is forgiven within the hour, a ban lifted in minutes. */
const HALF_LIFE_MS = 10 * 60_000

/** Peers remembered; beyond, the one that offended longest ago is forgotten. */
const PEERS_MAX = 1_024

interface Entry {
  points: number
  at: number
}

/** How each peer behaved on the direct protocols. */
export class Conduct {
  readonly #clock: Clock
  readonly #count: Count
  readonly #peers = new Map<string, Entry>()

  constructor({ clock, count }: { clock: Clock; count: Count }) {
    this.#clock = clock
    this.#count = count
  }

  blame(peer: string, cause: Offence): void {
    this.#count('offences', { cause })
    const points = this.#points(peer) + POINTS[cause]
    this.#peers.delete(peer)
    if (this.#peers.size >= PEERS_MAX) {
      const [oldest] = this.#peers.keys()
      if (oldest !== undefined) this.#peers.delete(oldest)
    }
    this.#peers.set(peer, { points, at: this.#clock.now() })
  }

  /** What gossipsub adds to the peer's score; 0 or less. */
  score(peer: string): number {
    const points = this.#points(peer)
    return points === 0 ? 0 : -points
  }

  banned(peer: string): boolean {
    return this.#points(peer) > BANNED_ABOVE
  }

  #points(peer: string): number {
    const entry = this.#peers.get(peer)
    if (entry === undefined) return 0
    const elapsed = Math.max(this.#clock.now() - entry.at, 0)
    return entry.points * 0.5 ** (elapsed / HALF_LIFE_MS)
  }
}
