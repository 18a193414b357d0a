/** Amounts and accounts as people write them on the command line. */
import { unitsGiven } from '@cairn/protocol'
import { InvalidArgumentError } from 'commander'

const EXPECTED = 'expected tokens, such as 250 or 0.5'

/** Tokens given as an option or argument, in base units. */
export function tokenAmount(text: string): bigint {
  const amount = unitsGiven(text)
  if (amount === undefined) throw new InvalidArgumentError(EXPECTED)
  return amount
}

/** As `tokenAmount`, and not zero. */
export function positiveTokens(text: string): bigint {
  const amount = tokenAmount(text)
  if (amount === 0n) throw new InvalidArgumentError(EXPECTED)
  return amount
}

/** A chain account given as an option or argument: 20 bytes in hexadecimal. */
export function accountGiven(text: string): string {
  if (!/^(0x)?[0-9a-f]{40}$/i.test(text)) {
    throw new InvalidArgumentError('expected an account of 20 bytes in hexadecimal')
  }
  return text.toLowerCase().replace(/^0x/, '')
}
