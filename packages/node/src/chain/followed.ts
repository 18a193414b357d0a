/**
 * The contracts whose events a node follows. Each counts its own (`LogCount.sol`, and `logCount` of
 * `Checkpoints`), since one that an endpoint leaves out may show by nothing else.
 */
import type { ContractAddresses } from '@cairn/contracts'

export const FOLLOWED = ['registry', 'checkpoints', 'deposits', 'parameters'] as const
export type Followed = (typeof FOLLOWED)[number]
export type FollowedContracts = Pick<ContractAddresses, Followed>
