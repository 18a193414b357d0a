/** The numbers that are voted on, as `Parameters` is deployed with them. */
import { PARAMETERS, PPM, type Profile, TOKEN } from '@cairn/protocol'
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

/** Numbers that only contracts read. */
export interface ContractNumbers {
  /** Parts per million of what is taken that go to who proves it. */
  reporterShare: bigint
  /** Base units that a change of a node's place costs. */
  placeFee: bigint
}

/**
 * A network's parameters as its manifest has them. Any value within the bounds fits with any other: a
 * vote that nodes had to pass over would part them from the contracts.
 */
export function foundingParameters(
  profile: Profile,
  { reporterShare, placeFee }: ContractNumbers,
): FoundingParameter[] {
  return [
    ...PARAMETERS.map(({ name, of, limits }) => ({
      name,
      value: of(profile),
      ...limits(profile),
    })),
    { name: 'reporterShare', value: reporterShare, least: 0n, most: PPM / 2n, step: PPM / 20n },
    { name: 'placeFee', value: placeFee, least: 0n, most: 1_000n * TOKEN, step: 10n * TOKEN },
  ]
}

/** As the contract has it: ASCII bytes, then zeros, 32 in all. */
export function parameterWord(name: string): Hex {
  return stringToHex(name, { size: 32 })
}
