import type { Profile } from './profile.ts'

/** Epochs and slots from a network's genesis; all times in ms since 1970. */
export interface Calendar {
  /** Genesis in seconds. */
  genesis: number
  profile: Pick<Profile, 'slotMs' | 'slotsPerEpoch'>
}

export function epochMs({ profile }: Calendar): number {
  return profile.slotMs * profile.slotsPerEpoch
}

export function epochStart(calendar: Calendar, epoch: number): number {
  return calendar.genesis * 1_000 + epoch * epochMs(calendar)
}

export function slotStart(calendar: Calendar, epoch: number, slot: number): number {
  return epochStart(calendar, epoch) + slot * calendar.profile.slotMs
}

/** The epoch that contains a time; negative before genesis. */
export function epochAt(calendar: Calendar, ms: number): number {
  return Math.floor((ms - calendar.genesis * 1_000) / epochMs(calendar))
}

/** The slot of `epoch` that contains a time; beyond the range outside of the epoch. */
export function slotAt(calendar: Calendar, epoch: number, ms: number): number {
  return Math.floor((ms - epochStart(calendar, epoch)) / calendar.profile.slotMs)
}

const UNITS = [
  [86_400, 'days'],
  [3_600, 'hours'],
  [60, 'minutes'],
] as const

/** A time to wait as people say it: in the largest unit that it is at least two of. */
export function durationText(seconds: number): string {
  const [length, unit] = UNITS.find(([length]) => seconds >= 2 * length) ?? [1, 'seconds']
  const count = Math.round(seconds / length)
  return count === 1 ? '1 second' : `${count} ${unit}`
}
