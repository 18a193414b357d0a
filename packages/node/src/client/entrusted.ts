/**
 * The delegate's side: groups of others that this node may repair, with the keys that their clients gave
 * it. A group is taken in only while the carried state names this node for it, and forgotten when it
 * does so no more.
 */
import {
  check,
  concatBytes,
  type Delegation,
  decode,
  delegateOperators,
  delegationOf,
  type EpochBase,
  groupDeals,
  hex,
  shardKey,
  storageKind,
  type Verifier,
} from '@cairn/protocol'
import { withPrefix } from '../ledger/schema.ts'
import type { Network, Store } from '../ports.ts'
import type { Signer } from '../signer.ts'
import {
  ENTRUST_PROTOCOL,
  Entrusting,
  entrustingRoot,
  SignedEntrusting,
  TAKEN,
} from './entrusting.ts'
import type { OwnGroup } from './repairs.ts'

/** Groups that a client may bring per second. */
const ENTRUSTS_PER_SECOND = 50
/** Groups kept: 120 MB on disk at 30 pieces each. */
export const ENTRUSTED_MAX = 100_000
/**
 * Epochs for which the first delegate lets a group be due before it repairs: what its client does in
 * that time need not be done. The second waits for twice as long, and so on: whoever does nothing is
 * overtaken.
 */
export const PATIENCE_EPOCHS = 2

export interface EntrustedComponents {
  network: Network
  /** A key space of its own. */
  store: Store
  signer: Signer
  verifier: Verifier
  base(): EpochBase | undefined
}

export interface EntrustedInit {
  /** Other than `ENTRUSTED_MAX` in tests. */
  max?: number
}

export class Entrusted {
  readonly #components: EntrustedComponents
  readonly #max: number

  constructor(components: EntrustedComponents, { max = ENTRUSTED_MAX }: EntrustedInit = {}) {
    this.#components = components
    this.#max = max
  }

  start(): void {
    const options = {
      maxRequestBytes: SignedEntrusting.maxSize,
      maxResponseBytes: TAKEN.length,
      perSecond: ENTRUSTS_PER_SECOND,
    }
    this.#components.network.serve(ENTRUST_PROTOCOL, options, request => this.#take(request))
  }

  /** Those that the present base names this node for, each with how long it is patient. */
  async *groups(): AsyncGenerator<OwnGroup> {
    const { store, signer } = this.#components
    const base = this.#components.base()
    if (base === undefined) return
    const keys: Uint8Array[] = []
    for await (const [key] of store.range(withPrefix(new Uint8Array(0)))) keys.push(key)
    for (const key of keys) {
      const value = await store.get(key)
      if (value === undefined) continue
      const entrusted = decode(Entrusting, value)
      const delegation = delegationAt(base, entrusted)
      const order = delegation === undefined ? -1 : this.#orderIn(delegation, base)
      if (delegation === undefined || order === -1) {
        await store.batch([{ key }])
        continue
      }
      yield {
        id: entrusted.group,
        of: hex(entrusted.group),
        data: entrusted.data,
        pieces: entrusted.pieces,
        client: entrusted.client,
        barred: delegateOperators(delegation, base),
        limits: limitsOf(entrusted, base),
        patience: PATIENCE_EPOCHS * (order + 1),
        // Signed in the client's place: the deals are the client's.
        signer: { key: entrusted.client, sign: signer.signIdentity },
        ...(entrusted.masked === 1
          ? { keys: entrusted.pieces.map((_, place) => shardKey(entrusted.key, place)) }
          : {}),
      }
    }
  }

  async #take(request: Uint8Array): Promise<Uint8Array> {
    const { store, verifier } = this.#components
    const { value, signature } = decode(SignedEntrusting, request)
    const base = this.#components.base()
    check(base !== undefined, 'noBase', 'this node does not know the present epoch yet')
    const delegation = delegationAt(base, value)
    const isNamed = delegation !== undefined && this.#orderIn(delegation, base) !== -1
    check(isNamed, 'notDelegate', 'the carried state does not name this node for the group')
    const root = entrustingRoot(value, base.network)
    check(
      verifier.ed25519(root, value.client, signature),
      'badSignature',
      'the client’s signature does not hold',
    )
    const isSound = value.data > 0 && value.data <= value.pieces.length
    check(isSound, 'badShape', 'as many pieces suffice as there are, or fewer', {
      facts: { data: value.data, total: value.pieces.length },
    })
    const key = concatBytes([value.client, value.group])
    if ((await store.get(key)) === undefined) await this.#checkRoom()
    await store.batch([{ key, value: Entrusting.serialize(value) }], { sync: true })
    return TAKEN
  }

  async #checkRoom(): Promise<void> {
    let count = 0
    for await (const _ of this.#components.store.range(withPrefix(new Uint8Array(0)))) count++
    check(count < this.#max, 'entrustedFull', 'this node repairs enough groups of others', {
      facts: { groups: count, max: this.#max },
    })
  }

  /** Place of this node among the delegates; -1 when it is none. */
  #orderIn({ delegates }: Delegation, base: EpochBase): number {
    const own = hex(this.#components.signer.identity)
    return delegates.findIndex(index => {
      const entry = base.node(index)
      return entry !== undefined && hex(entry.identity) === own
    })
  }
}

function delegationAt(
  base: EpochBase,
  group: Pick<Entrusting, 'client' | 'group'>,
): Delegation | undefined {
  return delegationOf(base.state(storageKind), group)
}

/** What a delegate may sign at a base: see `delegatedKeys`. */
function limitsOf(
  { pieces, ...group }: Entrusting,
  base: EpochBase,
): NonNullable<OwnGroup['limits']> {
  const deals = groupDeals(base.state(storageKind), group)
  const held = new Set(deals.map(({ place }) => place))
  // The pieces of a group have one length.
  let dearest = 0n
  for (const { pricePerEpoch } of deals) if (pricePerEpoch > dearest) dearest = pricePerEpoch
  return {
    pricePerEpoch: dearest,
    endEpoch: Math.max(0, ...deals.map(({ endEpoch }) => endEpoch)),
    places: new Set([...pieces.keys()].filter(place => !held.has(place))),
  }
}
