import { piecesCases } from '@cairn/node'
import { MemoryPieces } from '@cairn/testnet'

describe('pieces in memory', () => {
  const open = async (quota: number) => ({
    pieces: new MemoryPieces({ quota }),
    remove: async () => {},
  })
  for (const { title, run } of piecesCases(open)) it(title, run)
})
