import type { FileView, Json, RemovedFile } from '@cairn/node'
import { size } from '../progress.ts'
import type { Commands } from '../run.ts'

export function filesCommands({ program, action }: Commands): void {
  program
    .command('ls')
    .description('list the files that this node stored, and what is left of each')
    .action(
      action(async session => {
        const api = await session.api()
        const { files } = await api.json<{ files: Json<FileView>[] }>('/v1/files')
        session.output.result(
          { files },
          files.length === 0 ? 'no files' : files.map(lineOf).join('\n'),
        )
        return undefined
      }),
    )
  program
    .command('rm <link>')
    .description('take a file off the list of this node')
    .action(
      action(async (session, link: string) => {
        const api = await session.api()
        const removed = await api.json<Json<RemovedFile>>('/v1/files/remove', {
          method: 'POST',
          query: { link },
        })
        session.output.result(removed, `removed ${removed.name}`)
        return undefined
      }),
    )
}

/** Shards of the worst group, of which any k suffice, and what it is called. */
function lineOf({ name, link, bytes, k, n, shards, createdAt }: Json<FileView>): string {
  const date = new Date(createdAt).toISOString().slice(0, 16).replace('T', ' ')
  const health = shards === undefined ? 'empty' : `${shards} of ${n}, needs ${k}`
  return `${date}  ${size(bytes).padStart(8)}  ${health.padEnd(20)}  ${name}\n  ${link}`
}
