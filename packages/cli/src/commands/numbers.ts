import { InvalidArgumentError } from 'commander'

/** A whole number given as an option or argument. */
export function whole(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a whole number')
}

/** A whole number that is not zero. */
export function positive(text: string): number {
  if (/^[0-9]{1,9}$/.test(text) && Number(text) > 0) return Number(text)
  throw new InvalidArgumentError('expected a whole number from 1 on')
}

/** A share from 0 to below 1. */
export function fraction(text: string): number {
  const value = Number(text)
  if (/^[0-9.]+$/.test(text) && value >= 0 && value < 1) return value
  throw new InvalidArgumentError('expected a number from 0 to below 1')
}

/** A whole number within bounds, both included. */
export function within(least: number, most: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (/^[0-9]{1,9}$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`)
  }
}
