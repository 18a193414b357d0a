/** The contracts whose events a node follows. */
import type { ContractAddresses } from '@cairn/contracts'

export const FOLLOWED = ['registry', 'checkpoints', 'deposits', 'parameters'] as const
export type Followed = (typeof FOLLOWED)[number]

/**
 * Those that count their events, since one that an endpoint leaves out shows by nothing else; the
 * epochs of checkpoints are contiguous. Each extends `LogCount.sol`.
 */
export const COUNTED = ['registry', 'deposits', 'parameters'] as const satisfies readonly Followed[]

export type FollowedContracts = Pick<ContractAddresses, Followed>
