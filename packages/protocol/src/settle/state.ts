/** The carried state as settlement works with it: decoded, one value per proof kind. */
import { CairnError } from '../errors.ts'
import type { Kind } from '../kind.ts'
import { decode } from '../ssz.ts'
import { CoreState, StateBytes, StateRoots } from '../state.ts'

/** Decoded state; immutable, as are the values it gives out. */
export class State {
  readonly core: CoreState
  readonly #kinds: ReadonlyMap<number, unknown>
  readonly #list: readonly Kind<unknown>[]
  #root: Uint8Array | undefined

  constructor(
    core: CoreState,
    kinds: readonly Kind<unknown>[],
    values: ReadonlyMap<number, unknown>,
  ) {
    this.core = core
    this.#list = kinds
    this.#kinds = values
  }

  of<S>(kind: Kind<S>): S {
    return this.#kinds.get(kind.code) as S
  }

  /** This state with another core or other values of some kinds, by code. */
  with(core: CoreState, values: ReadonlyMap<number, unknown> = new Map()): State {
    return new State(core, this.#list, new Map([...this.#kinds, ...values]))
  }

  /** The root that a checkpoint commits to. */
  root(): Uint8Array {
    this.#root ??= StateRoots.hashTreeRoot({
      core: CoreState.hashTreeRoot(this.core),
      kinds: this.#list.map(kind => kind.stateCodec.hashTreeRoot(this.of(kind))),
    })
    return this.#root
  }

  encode(): Uint8Array {
    return StateBytes.serialize({
      core: this.core,
      kinds: this.#list.map(kind => kind.stateCodec.serialize(this.of(kind))),
    })
  }
}

/** What a network begins with, but for its deals. */
export function emptyState(kinds: readonly Kind<unknown>[]): State {
  const core: CoreState = { payouts: [], activity: [], absent: [] }
  return new State(core, kinds, new Map(kinds.map(kind => [kind.code, kind.emptyState()])))
}

/** Throws `badEncoding` or `badLength`; compare `root()` with the checkpoint before use. */
export function decodeState(bytes: Uint8Array, kinds: readonly Kind<unknown>[]): State {
  const { core, kinds: encoded } = decode(StateBytes, bytes)
  if (encoded.length !== kinds.length) {
    throw new CairnError('badEncoding', 'state: expected one part per proof kind', {
      facts: { expected: kinds.length, found: encoded.length },
    })
  }
  const values = new Map<number, unknown>()
  for (const [place, kind] of kinds.entries()) {
    values.set(kind.code, decode(kind.stateCodec, encoded[place] as Uint8Array))
  }
  return new State(core, kinds, values)
}
