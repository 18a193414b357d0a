import { CommpHasher, pieceCid, pieceCidV1 } from '@cairn/protocol'
import { openInput } from '../input.ts'
import type { Commands } from '../run.ts'

export function pieceCommand({ program, action }: Commands): void {
  const piece = program.command('piece').description('names of pieces')
  piece
    .command('cid <file>')
    .description("print a file's Filecoin piece CIDs; - reads standard input")
    .action(
      action(async ({ world, output, signal }, file: string) => {
        const hasher = new CommpHasher()
        const { stream } = await openInput(world, file, signal)
        for await (const chunk of stream) hasher.update(chunk as Uint8Array)
        const { piece: found } = hasher.digest()
        const cids = { v1: pieceCidV1(found.root), v2: pieceCid(found), bytes: found.payload }
        output.result(cids, `v1 ${cids.v1}\nv2 ${cids.v2}`)
        return undefined
      }),
    )
}
