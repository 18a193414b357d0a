/** Carried states by their root: decoded lately, in the ledger, or proven by a peer. */
import {
  type Checkpoint,
  Checkpoint as CheckpointCodec,
  decode,
  decodeState,
  hex,
  type Kind,
  type State,
} from '@cairn/protocol'
import type { AcceptedCheckpoint } from '../ports.ts'
import type { States } from './epochs.ts'
import type { Ledger } from './ledger.ts'

export interface StateCacheComponents {
  ledger: Ledger
  /** Asks peers for a state by its root. */
  fetch(root: Uint8Array): Promise<State | undefined>
}

export interface StateCacheInit {
  kinds: readonly Kind<unknown>[]
}

/** Decoded states kept: those of the epochs in work, and one spare. */
const DECODED_MAX = 6

export class StateCache implements States {
  readonly #components: StateCacheComponents
  readonly #kinds: readonly Kind<unknown>[]
  readonly #decoded = new Map<string, State>()

  constructor(components: StateCacheComponents, { kinds }: StateCacheInit) {
    this.#components = components
    this.#kinds = kinds
  }

  async at(accepted: AcceptedCheckpoint): Promise<State | undefined> {
    return await this.of(decode<Checkpoint>(CheckpointCodec, accepted.checkpoint))
  }

  async of({ state: root }: Checkpoint): Promise<State | undefined> {
    const known = this.#decoded.get(hex(root))
    if (known !== undefined) return known
    const bytes = await this.#components.ledger.state(root)
    const state =
      bytes === undefined ? await this.#components.fetch(root) : decodeState(bytes, this.#kinds)
    if (state !== undefined) this.#remember(root, state)
    return state
  }

  async put(state: State): Promise<void> {
    const root = state.root()
    await this.#components.ledger.putState(root, state.encode())
    this.#remember(root, state)
  }

  #remember(root: Uint8Array, state: State): void {
    this.#decoded.set(hex(root), state)
    for (const oldest of this.#decoded.keys()) {
      if (this.#decoded.size <= DECODED_MAX) break
      this.#decoded.delete(oldest)
    }
  }
}
