/**
 * Containers that stand in the state unchanged from epoch to epoch: each value's root is found once.
 * It is kept beside the value, not in it as the library's own cache does: there a copy made by
 * spreading takes the root along, also where a field of it was replaced.
 *
 * Values must not be changed in place, as nothing of a state is.
 */
import type { Type } from '@chainsafe/ssz'
import { ContainerType, type ValueOf } from './ssz.ts'

/** Bytes of a root. */
const ROOT_BYTES = 32

export class CarriedContainerType<
  Fields extends Record<string, Type<unknown>>,
> extends ContainerType<Fields> {
  readonly #roots = new WeakMap<object, Uint8Array>()

  override hashTreeRootInto(
    value: ValueOf<ContainerType<Fields>>,
    output: Uint8Array,
    offset: number,
  ): void {
    const known = this.#roots.get(value)
    if (known !== undefined) {
      output.set(known, offset)
      return
    }
    super.hashTreeRootInto(value, output, offset)
    // A copy also where the output is a Buffer, whose `slice` is a view.
    this.#roots.set(value, new Uint8Array(output.subarray(offset, offset + ROOT_BYTES)))
  }
}
