/** What the settlement of storage is given beside what every kind is. */
import type { SettleInput } from '../../kind.ts'
import type { StorageState } from './state.ts'

export interface StorageSettleInput extends SettleInput<StorageState> {
  /** The state at the base, from which everything was asked. */
  readonly baseState: StorageState
}
