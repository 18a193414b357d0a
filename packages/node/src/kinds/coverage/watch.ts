/**
 * A verifier's view of the time: in which slot the reveal of a beacon arrived, and whose commits
 * were there when their slot ended. What arrived is judged already; here only the clock counts.
 */
import {
  type Beacon,
  type Calendar,
  type Challenge,
  type Commit,
  CoverageReason,
  type EpochBase,
  encodeEvidence,
  gatewayPlaces,
  hex,
  type Known,
  NO_REVEAL,
  slotAt,
  slotStart,
  slotsAround,
  slotsOf,
  Verdict,
} from '@cairn/protocol'
import type { Clock } from '../../ports.ts'
import type { Finding } from '../kind.ts'

interface EpochTimes {
  /** Authors whose commit came in time, by transmission slot. */
  readonly commits: Map<number, Set<number>>
  /** Slot in which the reveal that names a challenge came, by its id. */
  readonly reveals: Map<string, number>
  readonly waiting: Map<string, Set<() => void>>
}

export class Watch {
  readonly #clock: Clock
  readonly #calendar: Calendar
  /** Of this epoch and the last. */
  readonly #epochs = new Map<number, EpochTimes>()

  constructor({ clock }: { clock: Clock }, { calendar }: { calendar: Calendar }) {
    this.#clock = clock
    this.#calendar = calendar
  }

  epoch({ epoch }: EpochBase): void {
    for (const known of this.#epochs.keys()) if (known < epoch - 1) this.#epochs.delete(known)
  }

  committed({ value: { author, slot } }: Known<Commit>, base: EpochBase): void {
    if (this.#slot(base) > slotsAround(slot, base.profile).commit) return
    const { commits } = this.#times(base)
    const authors = commits.get(slot)
    if (authors === undefined) commits.set(slot, new Set([author]))
    else authors.add(author)
  }

  revealed({ value: { challenge } }: Known<Beacon>, base: EpochBase): void {
    const { reveals, waiting } = this.#times(base)
    const id = hex(challenge)
    if (!reveals.has(id)) reveals.set(id, this.#slot(base))
    for (const wake of waiting.get(id) ?? []) wake()
  }

  /** Resolves when the reveal has arrived or its slot has ended; undefined when aborted before. */
  async attest(
    challenge: Known<Challenge>,
    base: EpochBase,
    signal: AbortSignal,
  ): Promise<Finding | undefined> {
    const seen = this.#slot(base)
    const slots = slotsOf(challenge.value, base)
    const id = hex(challenge.id)
    const end = slotStart(this.#calendar, base.epoch, slots.reveal + 1)
    await this.#reveal(base, id, end, signal)
    if (signal.aborted) return undefined
    const { commits, reveals } = this.#times(base)
    const places = gatewayPlaces(base)
    const held = [...(commits.get(slots.transmission) ?? [])]
    const revealSlot = reveals.get(id) ?? NO_REVEAL
    const reason = reasonOf(seen <= slots.challenge + 1, revealSlot, slots.reveal)
    return {
      verdict: reason === CoverageReason.ok ? Verdict.pass : Verdict.inconclusive,
      reason,
      evidence: encodeEvidence({
        revealSlot,
        gateways: places.size,
        committed: held.map(author => places.get(author)).filter(place => place !== undefined),
      }),
    }
  }

  #reveal(base: EpochBase, id: string, end: number, signal: AbortSignal): Promise<void> {
    const { reveals, waiting } = this.#times(base)
    if (reveals.has(id) || signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const wake = () => {
        timer.cancel()
        signal.removeEventListener('abort', wake)
        wakers.delete(wake)
        resolve()
      }
      const wakers = waiting.get(id) ?? new Set()
      waiting.set(id, wakers.add(wake))
      const timer = this.#clock.at(end, wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  #slot({ epoch }: EpochBase): number {
    return slotAt(this.#calendar, epoch, this.#clock.now())
  }

  #times({ epoch }: EpochBase): EpochTimes {
    let times = this.#epochs.get(epoch)
    if (times === undefined) {
      times = { commits: new Map(), reveals: new Map(), waiting: new Map() }
      this.#epochs.set(epoch, times)
    }
    return times
  }
}

function reasonOf(challengeOnTime: boolean, revealSlot: number, due: number): number {
  if (!challengeOnTime) return CoverageReason.challengeLate
  if (revealSlot === NO_REVEAL) return CoverageReason.noReveal
  return revealSlot <= due ? CoverageReason.ok : CoverageReason.late
}
