/**
 * What settlement carries from epoch to epoch. `State` is how a node stores and sends it;
 * `StateRoots` is what the checkpoint commits to: one root for the core and one per proof kind.
 */
import { ByteListType, ListCompositeType } from '@chainsafe/ssz'
import { COUNTED_KINDS } from './checkpoint.ts'
import { Bytes20, Bytes32, ContainerType, Uint32, Uint128, type ValueOf } from './ssz.ts'

const TREE_LIST_MAX = 2 ** 32

/** One leaf of the payouts tree: cumulative totals of an account, in base units. */
export const Payout = new ContainerType(
  { account: Bytes20, earned: Uint128, spent: Uint128 },
  { typeName: 'Payout' },
)
export type Payout = ValueOf<typeof Payout>

export const Activity = new ContainerType({ node: Uint32, epoch: Uint32 }, { typeName: 'Activity' })

/**
 * A node that was drawn to sign, and how many votes of it are missing since the last that counted.
 * A count and not an epoch: of some epochs the set does not tell who voted.
 */
export const Absence = new ContainerType({ node: Uint32, missed: Uint32 }, { typeName: 'Absence' })
export type Absence = ValueOf<typeof Absence>

/** Every list is in ascending order of its first field, without repetition. */
export const CoreState = new ContainerType(
  {
    payouts: new ListCompositeType(Payout, TREE_LIST_MAX),
    activity: new ListCompositeType(Activity, TREE_LIST_MAX),
    /** Members of one committee at most. */
    absent: new ListCompositeType(Absence, TREE_LIST_MAX),
  },
  { typeName: 'CoreState' },
)
export type CoreState = ValueOf<typeof CoreState>

export const StateRoots = new ContainerType(
  { core: Bytes32, kinds: new ListCompositeType(Bytes32, COUNTED_KINDS) },
  { typeName: 'StateRoots' },
)

/** A whole state as it is stored and sent: at most 64 MiB a kind. */
export const StateBytes = new ContainerType(
  {
    core: CoreState,
    kinds: new ListCompositeType(new ByteListType(64 * 1024 * 1024), COUNTED_KINDS),
  },
  { typeName: 'StateBytes' },
)
