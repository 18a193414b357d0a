/** How a number becomes a factor: full on one side, nothing on the other, a straight line between. */

/** 1, in parts per million. */
export const FULL = 1_000_000

export interface Ramp {
  /** Nothing counts from here on. */
  readonly none: number
  /** Everything counts from here on. */
  readonly full: number
}

/** Parts per million, floor; full for a number that could not be had. */
export function ramp(value: number | undefined, { none, full }: Ramp): number {
  if (value === undefined) return FULL
  const part = Math.floor((FULL * (value - none)) / (full - none))
  return Math.min(Math.max(part, 0), FULL)
}
