import { createVolume, type Hashing, openPieceStore, ownThread, type PieceStore } from '@cairn/node'
import { quietLog } from '../packages/node/test/network/world.ts'

export interface StoreInit {
  /** Bytes; by default more than a bench fills. */
  quota?: number
  /** By default the caller's own thread. */
  hashing?: Hashing
}

export async function openStore(
  directory: string,
  { quota = 2 ** 36, hashing = ownThread }: StoreInit = {},
): Promise<PieceStore> {
  await createVolume({ directory, volume: 'bench' })
  const init = { directory, volume: 'bench', quota }
  return openPieceStore({ log: quietLog(), hashing }, init)
}
