/** The slots of one beacon, all counted from the slot of the challenge that it answers. */
import { drawnSlot } from '../../challenge.ts'
import { CHALLENGERS_MAX } from '../../duties.ts'
import type { EpochBase } from '../../kind.ts'
import type { Challenge } from '../../messages.ts'
import type { Profile } from '../../profile.ts'
import { COVERAGE } from './draw.ts'

export interface BeaconSlots {
  readonly challenge: number
  readonly transmission: number
  readonly commit: number
  readonly reveal: number
  /** Last slot in which a report is relayed. */
  readonly reports: number
}

export function slotsAfter(challenge: number, profile: Profile): BeaconSlots {
  return {
    challenge,
    transmission: challenge + profile.transmitStep,
    commit: challenge + profile.commitStep,
    reveal: challenge + profile.revealStep,
    reports: challenge + profile.reportStep,
  }
}

/** The slots of the beacon that was, or could have been, transmitted in this slot. */
export function slotsAround(transmission: number, profile: Profile): BeaconSlots {
  return slotsAfter(transmission - profile.transmitStep, profile)
}

/**
 * Only the first challenger's slot follows from its output. The second and third reveal in the
 * first and second slot after the last of those, and only where no earlier one did.
 */
export function revealSlot({ profile }: EpochBase, order: number, output: Uint8Array): number {
  if (order === 0) return drawnSlot(output, profile.coverageReveal)
  return profile.coverageReveal[1] + order
}

/** Slots of the beacon that a valid challenge asks for. */
export function slotsOf({ target, author, output }: Challenge, base: EpochBase): BeaconSlots {
  const order = base.duty(COVERAGE, target).challengers.indexOf(author)
  return slotsAfter(revealSlot(base, order, output), base.profile)
}

/** First and last slot that a beacon may be transmitted in. */
export function transmissionSlots(profile: Profile): readonly [number, number] {
  const [first, last] = profile.coverageReveal
  return [first + profile.transmitStep, last + CHALLENGERS_MAX - 1 + profile.transmitStep]
}
