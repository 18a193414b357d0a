/** Where providers sell to clients: the same in the process of either. */
import { PUBLIC_PROFILE } from '@cairn/protocol'
import { baseOf, deposit, registry } from '../packages/protocol/test/kinds/storage/world.ts'

/** What a client needs to know of the providers; plain data, so that it can be another process. */
export interface Market {
  providers: number
  /** Unix seconds. */
  genesis: number
  addresses: string[]
  /** Peer ids by node index. */
  peers: string[]
}

/** Long past what all deals of all rounds cost. */
const DEPOSIT = 10n ** 14n
/** The same in every process. */
export function marketBase({ providers, genesis }: Pick<Market, 'providers' | 'genesis'>) {
  return baseOf({
    registry: registry(providers),
    profile: PUBLIC_PROFILE,
    genesis,
    deposits: [deposit(1, DEPOSIT)],
  })
}
