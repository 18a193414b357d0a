import type { GrantedView, GrantView, Json } from '@cairn/node'
import type { Commands } from '../run.ts'

interface PeerOption {
  to: string
}

export function grantsCommands({ program, action }: Commands): void {
  program
    .command('grant <link>')
    .description('let a peer read a file: prints what it gives to `cairn get`')
    .requiredOption('--to <peer>', 'its peer id, as its `cairn status` shows it')
    .option('--again', 'also if it was revoked')
    .action(
      action(async (session, link: string, { to, again }: PeerOption & { again?: boolean }) => {
        const api = await session.api()
        const query = { link, peer: to, ...(again === true ? { again: 'true' } : {}) }
        const granted = await api.json<Json<GrantedView>>('/v1/grants', { method: 'POST', query })
        session.output.note(`${granted.name || 'the file'} can be read by ${granted.peerId} with`)
        session.output.result(granted, granted.grant)
        return undefined
      }),
    )
  program
    .command('revoke <link>')
    .description('grant a file to a peer no more; what it has it keeps')
    .requiredOption('--to <peer>', 'its peer id')
    .action(
      action(async (session, link: string, { to }: PeerOption) => {
        const api = await session.api()
        const query = { link, peer: to }
        const revoked = await api.json<Json<GrantView>>('/v1/grants/revoke', {
          method: 'POST',
          query,
        })
        session.output.note('its grant still opens the file: put the file anew to change its key')
        const what = revoked.name || revoked.manifest
        session.output.result(revoked, `${what}: revoked ${dateOf(revoked.revokedAt ?? 0)}`)
        return undefined
      }),
    )
  program
    .command('grants')
    .description('list what this node granted to whom')
    .action(
      action(async session => {
        const api = await session.api()
        const { grants } = await api.json<{ grants: Json<GrantView>[] }>('/v1/grants')
        const text = grants.length === 0 ? 'no grants' : grants.map(lineOf).join('\n')
        session.output.result({ grants }, text)
        return undefined
      }),
    )
}

function lineOf({ name, manifest, entry, peerId, grantedAt, revokedAt }: Json<GrantView>): string {
  const what = name === '' ? `${manifest} ${entry}` : name
  const revoked = revokedAt === undefined ? '' : `  revoked ${dateOf(revokedAt)}`
  return `${dateOf(grantedAt)}  ${peerId}  ${what}${revoked}`
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
