/** Amounts as people write and read them, without a float in between. */
import { TOKEN } from '@cairn/protocol'
import { InvalidArgumentError } from 'commander'

const DECIMALS = 18

/** Base units, exactly, as `1000.5`: ether has as many decimals as the token. */
export function unitsText(amount: bigint): string {
  const whole = amount / TOKEN
  const part = String(amount % TOKEN)
    .padStart(DECIMALS, '0')
    .replace(/0+$/, '')
  return part === '' ? String(whole) : `${whole}.${part}`
}

/** An amount of tokens given as an option or argument, in base units; not zero. */
export function tokensGiven(text: string): bigint {
  const [, whole, part = ''] = text.match(/^([0-9]{1,20})(?:\.([0-9]{1,18}))?$/) ?? []
  const amount =
    whole === undefined ? 0n : BigInt(whole) * TOKEN + BigInt(part.padEnd(DECIMALS, '0'))
  if (amount === 0n) throw new InvalidArgumentError('expected tokens, such as 250 or 0.5')
  return amount
}

/** A chain account given as an option or argument: 20 bytes in hexadecimal. */
export function accountGiven(text: string): string {
  if (!/^(0x)?[0-9a-f]{40}$/i.test(text)) {
    throw new InvalidArgumentError('expected an account of 20 bytes in hexadecimal')
  }
  return text.toLowerCase().replace(/^0x/, '')
}
