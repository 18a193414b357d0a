import { basename } from 'node:path'
import type { PutResult } from '@cairn/node'
import { openInput } from '../input.ts'
import { progress, size } from '../progress.ts'
import type { Commands } from '../run.ts'

interface PutOptions {
  copies: string
  name?: string
  pieceSize?: string
}

export function putCommand({ program, action }: Commands): void {
  program
    .command('put <file>')
    .description('store a file with providers and print its link; - reads standard input')
    .option('--copies <n>', 'how many providers keep each piece', '1')
    .option('--name <name>', 'file name in the link')
    .option('--piece-size <bytes>', 'bytes per piece')
    .action(
      action(async (session, file: string, { copies, name, pieceSize }: PutOptions) => {
        const api = await session.api()
        const { stream, bytes } = await openInput(session.world, file, session.signal)
        const shown = stream.pipe(progress(session, { what: 'storing', total: bytes }))
        stream.once('error', error => shown.destroy(error))
        const result = await api.json<PutResult>('/v1/put', {
          method: 'POST',
          body: shown,
          query: { copies, pieceSize, name: name ?? (file === '-' ? undefined : basename(file)) },
        })
        session.output.note(`${size(result.bytes)} in ${result.pieces.length} pieces`)
        session.output.result(result, result.link)
        return undefined
      }),
    )
}
