import { InvalidArgumentError } from 'commander'

/** A whole number given as an option. */
export function whole(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a whole number')
}

/** A share from 0 to 1 given as an option. */
export function fraction(text: string): number {
  const value = Number(text)
  if (/^[0-9.]+$/.test(text) && value >= 0 && value <= 1) return value
  throw new InvalidArgumentError('expected a number from 0 to 1')
}
