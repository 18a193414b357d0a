import type { Clock, Log, Timer } from '../ports.ts'

/** Wait after the first failure, ms; doubled with each further one. */
const BACKOFF_MIN_MS = 1_000

/** Longest wait, ms: a network whose bootstrap peers come back is whole again within it. */
const BACKOFF_MAX_MS = 30_000

/** Attempts to meet again a peer that is no bootstrap peer. */
const ATTEMPTS_MAX = 6

/** Lost peers looked for at the same time. */
const LOST_MAX = 64

/** With as many peers, a lost one need not be looked for. */
const PEERS_ENOUGH = 16

interface Target {
  /** Bootstrap peers are looked for as long as the node runs. */
  forever: boolean
  failures: number
  timer: Timer | undefined
  dialling: boolean
}

interface ReachComponents {
  clock: Clock
  log: Log
}

export interface ReachInit {
  /** Bootstrap peers: peer ids, or addresses where the id is not known. */
  bootstrap: readonly string[]
  dial(target: string): Promise<void>
  connected(target: string): boolean
  peerCount(): number
}

/** Keeps meeting the peers that hold the network together, however long they are away. */
export class Reach {
  readonly #components: ReachComponents
  readonly #init: ReachInit
  readonly #targets = new Map<string, Target>()
  #running = false

  constructor(components: ReachComponents, init: ReachInit) {
    this.#components = components
    this.#init = init
  }

  start(): void {
    this.#running = true
    for (const name of this.#init.bootstrap) this.#add(name, true)
    this.retry()
  }

  stop(): void {
    this.#running = false
    for (const { timer } of this.#targets.values()) timer?.cancel()
    this.#targets.clear()
  }

  /** Tries everybody at once: something changed. */
  retry(): void {
    for (const [name, target] of this.#targets) {
      target.failures = 0
      this.#schedule(name, target, 0)
    }
  }

  /** A connection to this peer ended. */
  lost(peer: string): void {
    if (!this.#running) return
    const known = this.#targets.get(peer)
    if (known !== undefined) {
      this.#schedule(peer, known, BACKOFF_MIN_MS)
      return
    }
    // A bootstrap peer without an id in its address is known by the address alone.
    for (const [name, target] of this.#targets) {
      if (target.forever && !this.#init.connected(name)) {
        this.#schedule(name, target, BACKOFF_MIN_MS)
      }
    }
    const lost = [...this.#targets.values()].filter(({ forever }) => !forever).length
    if (lost >= LOST_MAX || this.#init.peerCount() >= PEERS_ENOUGH) return
    this.#schedule(peer, this.#add(peer, false), BACKOFF_MIN_MS)
  }

  #add(name: string, forever: boolean): Target {
    const target = { forever, failures: 0, timer: undefined, dialling: false }
    this.#targets.set(name, target)
    return target
  }

  #schedule(name: string, target: Target, wait: number): void {
    if (target.dialling) return
    const { clock } = this.#components
    target.timer?.cancel()
    target.timer = clock.at(clock.now() + wait, () => {
      target.dialling = true
      void this.#attempt(name, target).then(again => {
        target.dialling = false
        if (!this.#running || this.#targets.get(name) !== target) return
        if (again === undefined) {
          if (!target.forever) this.#targets.delete(name)
        } else this.#schedule(name, target, again)
      })
    })
  }

  /** Resolves with the wait before the next attempt, or undefined when there is no need for one. */
  async #attempt(name: string, target: Target): Promise<number | undefined> {
    if (this.#init.connected(name)) return undefined
    try {
      await this.#init.dial(name)
      target.failures = 0
      return undefined
    } catch (err) {
      target.failures++
      const wait = Math.min(BACKOFF_MIN_MS * 2 ** (target.failures - 1), BACKOFF_MAX_MS)
      this.#components.log.debug({ err, peer: name, wait }, 'a peer is away')
      if (!target.forever && target.failures >= ATTEMPTS_MAX) return undefined
      return wait
    }
  }
}
