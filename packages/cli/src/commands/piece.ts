import { type Piece, pieceCid, pieceCidV1 } from '@cairn/protocol'
import { openInput } from '../input.ts'
import type { Commands } from '../run.ts'
import type { World } from '../world.ts'

export function pieceCommand({ program, action }: Commands): void {
  const piece = program.command('piece').description('names of pieces')
  piece
    .command('cid <file>')
    .description("print a file's Filecoin piece CIDs; - reads standard input")
    .action(
      action(async ({ world, output, signal }, file: string) => {
        const found = await pieceOf(world, file, signal)
        const cids = { v1: pieceCidV1(found.root), v2: pieceCid(found), bytes: found.payload }
        output.result(cids, `v1 ${cids.v1}\nv2 ${cids.v2}`)
        return undefined
      }),
    )
}

async function pieceOf(world: World, file: string, signal: AbortSignal): Promise<Piece> {
  const { open } = await openInput(world, file, signal)
  const { HashPool } = await import('@cairn/node')
  const pool = new HashPool()
  try {
    const hasher = pool.hasher()
    for await (const chunk of open()) await hasher.update(chunk)
    const { piece } = await hasher.digest()
    return piece
  } finally {
    await pool.close()
  }
}
