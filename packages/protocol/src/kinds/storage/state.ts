/** What settlement carries of storage from epoch to epoch, and look-ups in it. */
import { ListCompositeType } from '@chainsafe/ssz'
import { dataLeaves } from '../../piece/piece.ts'
import { Bytes32, ContainerType, hex, Uint32, Uint64, type ValueOf } from '../../ssz.ts'
import { ListDepth, listRoot } from '../../tree.ts'
import { Deal, dealId } from './deal.ts'
import { Delegation } from './delegation.ts'

const TREE_LIST_MAX = 2 ** 32
/** Levels of the tree of one provider's deals. */
const DEALS_OF_ONE_DEPTH = 32

/** Leaves answered of those asked in the last epoch with an on-time challenge. */
export const Quotient = new ContainerType(
  { provider: Uint32, answered: Uint32, asked: Uint32, epoch: Uint32 },
  { typeName: 'Quotient' },
)
export type Quotient = ValueOf<typeof Quotient>

/** A leaf that a provider owes an answer for: at most one per deal. */
export const Debt = new ContainerType(
  {
    deal: Bytes32,
    leaf: Uint32,
    /** The epoch that left it unanswered. */
    since: Uint32,
    /** The first later epoch that asked it again in vain; 0: none did yet. */
    again: Uint32,
    /** The last epoch that asked it. */
    asked: Uint32,
  },
  { typeName: 'Debt' },
)
export type Debt = ValueOf<typeof Debt>

/** A leaf that a client's audit wants asked: at most one per deal, and none of a deal with a debt. */
export const PendingAudit = new ContainerType(
  {
    deal: Bytes32,
    leaf: Uint32,
    /** The epoch whose set held the audit. */
    since: Uint32,
  },
  { typeName: 'PendingAudit' },
)
export type PendingAudit = ValueOf<typeof PendingAudit>

/** A provider that has answered no leaf since an epoch, though it was asked on time. */
export const Silence = new ContainerType(
  { provider: Uint32, since: Uint32 },
  { typeName: 'Silence' },
)
export type Silence = ValueOf<typeof Silence>

/** A deal of whose piece a wrong leaf was sealed, and the epoch of that. */
export const Containment = new ContainerType(
  { deal: Bytes32, since: Uint32 },
  { typeName: 'Containment' },
)
export type Containment = ValueOf<typeof Containment>

/** A deal that ended before it began: until then it could be taken in again by anybody who kept it. */
export const StruckDeal = new ContainerType(
  { deal: Bytes32, startEpoch: Uint32 },
  { typeName: 'StruckDeal' },
)
export type StruckDeal = ValueOf<typeof StruckDeal>

/** Bytes delivered to a client by a provider that are paid, since the beginning. */
export const Served = new ContainerType(
  { client: Bytes32, provider: Uint32, bytes: Uint64 },
  { typeName: 'Served' },
)
export type Served = ValueOf<typeof Served>

/**
 * Each list by ascending first field (deals by id, the bytes served by client and provider, delegations by
 * client and group), without repetition.
 */
export const StorageState = new ContainerType(
  {
    deals: new ListCompositeType(Deal, TREE_LIST_MAX),
    quotients: new ListCompositeType(Quotient, TREE_LIST_MAX),
    debts: new ListCompositeType(Debt, TREE_LIST_MAX),
    audits: new ListCompositeType(PendingAudit, TREE_LIST_MAX),
    silent: new ListCompositeType(Silence, TREE_LIST_MAX),
    contained: new ListCompositeType(Containment, TREE_LIST_MAX),
    served: new ListCompositeType(Served, TREE_LIST_MAX),
    delegations: new ListCompositeType(Delegation, TREE_LIST_MAX),
    struck: new ListCompositeType(StruckDeal, TREE_LIST_MAX),
  },
  { typeName: 'StorageState' },
)
export type StorageState = ValueOf<typeof StorageState>

/** A deal with its id, which is hashed once. */
export interface KnownDeal {
  readonly id: Uint8Array
  /** The id in hexadecimal. */
  readonly key: string
  readonly deal: Deal
}

export interface DealIndex {
  readonly byId: ReadonlyMap<string, KnownDeal>
  /** Each by ascending id. */
  readonly byProvider: ReadonlyMap<number, readonly KnownDeal[]>
  /** Each by ascending id; by key in hexadecimal. */
  readonly byClient: ReadonlyMap<string, readonly KnownDeal[]>
}

// States and deals are immutable and shared by consecutive epochs, so what is derived of them is
// kept exactly as long as they are.
const known = new WeakMap<Deal, KnownDeal>()
const indexes = new WeakMap<StorageState, DealIndex>()
const debts = new WeakMap<StorageState, ReadonlyMap<string, Debt>>()
const audits = new WeakMap<StorageState, ReadonlyMap<string, PendingAudit>>()
const contained = new WeakMap<StorageState, ReadonlySet<string>>()
const delegations = new WeakMap<StorageState, ReadonlyMap<string, Delegation>>()
const struck = new WeakMap<StorageState, ReadonlySet<string>>()
const counters = new WeakMap<StorageState, ReadonlyMap<string, bigint>>()

export function emptyStorageState(): StorageState {
  return {
    deals: [],
    quotients: [],
    debts: [],
    audits: [],
    silent: [],
    contained: [],
    served: [],
    delegations: [],
    struck: [],
  }
}

/** A state that holds just these deals. */
export function storageWith(deals: readonly Deal[]): StorageState {
  const sorted = sortDeals(deals.map(knownDeal)).map(({ deal }) => deal)
  return { ...emptyStorageState(), deals: sorted }
}

export function knownDeal(deal: Deal): KnownDeal {
  let found = known.get(deal)
  if (found === undefined) {
    const id = dealId(deal)
    found = { id, key: hex(id), deal }
    known.set(deal, found)
  }
  return found
}

export function dealIndex(state: StorageState): DealIndex {
  let index = indexes.get(state)
  if (index === undefined) {
    index = buildIndex(state)
    indexes.set(state, index)
  }
  return index
}

/** By the deal's id in hexadecimal. */
export function debtIndex(state: StorageState): ReadonlyMap<string, Debt> {
  let index = debts.get(state)
  if (index === undefined) {
    index = new Map(state.debts.map(debt => [hex(debt.deal), debt]))
    debts.set(state, index)
  }
  return index
}

/** By the deal's id in hexadecimal. */
export function auditIndex(state: StorageState): ReadonlyMap<string, PendingAudit> {
  let index = audits.get(state)
  if (index === undefined) {
    index = new Map(state.audits.map(audit => [hex(audit.deal), audit]))
    audits.set(state, index)
  }
  return index
}

/** Ids of contained deals, in hexadecimal. */
export function containedIndex(state: StorageState): ReadonlySet<string> {
  let index = contained.get(state)
  if (index === undefined) {
    index = new Set(state.contained.map(({ deal }) => hex(deal)))
    contained.set(state, index)
  }
  return index
}

/** Who may repair a client's group. */
export function delegationOf(
  state: StorageState,
  of: Pick<Delegation, 'client' | 'group'>,
): Delegation | undefined {
  let index = delegations.get(state)
  if (index === undefined) {
    index = new Map(state.delegations.map(known => [delegationKey(known), known]))
    delegations.set(state, index)
  }
  return index.get(delegationKey(of))
}

export function delegationKey({ client, group }: Pick<Delegation, 'client' | 'group'>): string {
  return `${hex(client)}/${hex(group)}`
}

/** Ids of deals that ended before they began, in hexadecimal. */
export function struckIndex(state: StorageState): ReadonlySet<string> {
  let index = struck.get(state)
  if (index === undefined) {
    index = new Set(state.struck.map(({ deal }) => hex(deal)))
    struck.set(state, index)
  }
  return index
}

/** Bytes that a client has paid a provider for; `client` is its key, 32 bytes. */
export function servedBytes(state: StorageState, client: Uint8Array, provider: number): bigint {
  let index = counters.get(state)
  if (index === undefined) {
    index = new Map(state.served.map(served => [servedKey(served), served.bytes]))
    counters.set(state, index)
  }
  return index.get(servedKey({ client, provider })) ?? 0n
}

export function servedKey({ client, provider }: Pick<Served, 'client' | 'provider'>): string {
  return `${hex(client)}/${provider}`
}

/** By ascending id, as the state holds them. */
export function sortDeals(deals: Iterable<KnownDeal>): KnownDeal[] {
  return [...deals].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

const DealSum = new ContainerType({ id: Bytes32, leaves: Uint64 }, { typeName: 'DealSum' })
const ProviderDeals = new ContainerType(
  { leaves: Uint64, deals: Bytes32 },
  { typeName: 'ProviderDeals' },
)

/**
 * Root of the checkpoint's tree of deals: at the place of each provider's node index its count of
 * leaves and the root of its deals by id, each with the sum of the leaves up to its last. Places
 * without deals are zero.
 */
export function dealsRoot(state: StorageState): Uint8Array {
  const { byProvider } = dealIndex(state)
  const places = Math.max(-1, ...byProvider.keys()) + 1
  const nothing = new Uint8Array(32)
  const leaves = Array.from({ length: places }, (_, provider) => {
    const deals = byProvider.get(provider)
    return deals === undefined ? nothing : providerLeaf(deals)
  })
  return listRoot(leaves, ListDepth.deals)
}

function providerLeaf(deals: readonly KnownDeal[]): Uint8Array {
  let leaves = 0n
  const sums = deals.map(({ id, deal }) => {
    leaves += BigInt(dataLeaves(deal.piece))
    return DealSum.hashTreeRoot({ id, leaves })
  })
  return ProviderDeals.hashTreeRoot({ leaves, deals: listRoot(sums, DEALS_OF_ONE_DEPTH) })
}

function buildIndex(state: StorageState): DealIndex {
  const byId = new Map<string, KnownDeal>()
  const byProvider = new Map<number, KnownDeal[]>()
  const byClient = new Map<string, KnownDeal[]>()
  for (const item of sortDeals(state.deals.map(knownDeal))) {
    const { deal, key } = item
    byId.set(key, item)
    push(byProvider, deal.provider, item)
    push(byClient, hex(deal.client), item)
  }
  return { byId, byProvider, byClient }
}

function push<K>(map: Map<K, KnownDeal[]>, key: K, item: KnownDeal): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [item])
  else list.push(item)
}
