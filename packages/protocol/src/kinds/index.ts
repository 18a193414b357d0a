/** The proof kinds of the network, by ascending code: the one list that names them. */
import type { Kind } from '../kind.ts'
import { coverage } from './coverage/kind.ts'
import { storageKind } from './storage/storage.ts'

export const KINDS: readonly Kind<unknown>[] = [
  storageKind as unknown as Kind<unknown>,
  coverage as unknown as Kind<unknown>,
]
