/** The numbers that are voted on, as `Parameters` is deployed with them. */
import { CONTRACT_NUMBERS, PARAMETERS, type Profile } from '@cairn/protocol'
import { type Hex, stringToHex } from 'viem'

/** Base units, parts per million or plain weights, as the profile has them. */
export interface FoundingParameter {
  name: string
  value: bigint
  /** Bounds that no vote moves. */
  least: bigint
  most: bigint
  /** By how much one vote changes it at most. */
  step: bigint
}

/**
 * A network's parameters as its manifest has them. Any value within the bounds fits with any other: a
 * vote that nodes had to pass over would part them from the contracts.
 */
export function foundingParameters(profile: Profile): FoundingParameter[] {
  return [
    ...PARAMETERS.map(({ name, of, limits }) => ({
      name,
      value: of(profile),
      ...limits(profile),
    })),
    ...CONTRACT_NUMBERS.map(({ name, begins, limits }) => ({
      name,
      value: begins,
      ...limits(profile),
    })),
  ]
}

/** As the contract has it: ASCII bytes, then zeros, 32 in all. */
export function parameterWord(name: string): Hex {
  return stringToHex(name, { size: 32 })
}
