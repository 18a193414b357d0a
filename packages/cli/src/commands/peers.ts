import type { Json, PeerView } from '@cairn/node'
import type { Commands } from '../run.ts'

export function peersCommand({ program, action }: Commands): void {
  program
    .command('peers')
    .description('list connected peers')
    .action(
      action(async session => {
        const api = await session.api()
        const { peers } = await api.json<{ peers: Json<PeerView>[] }>('/v1/peers')
        const lines = peers.map(
          ({ peerId, index, name }) =>
            `${String(index ?? '-').padStart(5)}  ${(name ?? '').padEnd(28)}  ${peerId}`,
        )
        session.output.result({ peers }, lines.length === 0 ? 'no peers' : lines.join('\n'))
        return undefined
      }),
    )
}
