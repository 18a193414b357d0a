import type { DelegatedView, FileView, GroupView, Json, RemovedFile, RepairView } from '@cairn/node'
import { check } from '@cairn/protocol'
import { size } from '../progress.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'

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
    .description('take a file off the list of this node, and end its deals by agreement')
    .action(
      action(async (session, link: string) => {
        const api = await session.api()
        const removed = await api.json<Json<RemovedFile>>('/v1/files/remove', {
          method: 'POST',
          query: { link },
        })
        session.output.result(removed, removedText(removed))
        return undefined
      }),
    )
  program
    .command('repairs [link]')
    .description(
      'what is left of the files that this node stored, or of one, and what was repaired',
    )
    .option('--now', 'repair what is due without waiting for the next checkpoint')
    .action(action(repairs))
  program
    .command('delegate <link> [nodes...]')
    .description(
      'name the nodes that may repair a file while this one is away, by index, the first to act first; without any: nobody',
    )
    .action(action(delegate))
}

async function delegate(session: Session, link: string, nodes: string[]): Promise<undefined> {
  for (const node of nodes) {
    check(/^(0|[1-9][0-9]{0,9})$/.test(node), 'usage', `expected node indices, found '${node}'`)
  }
  const api = await session.api()
  const delegates = nodes.length === 0 ? undefined : nodes.join(',')
  const named = await api.json<Json<DelegatedView>>('/v1/files/delegates', {
    method: 'POST',
    query: { link, delegates },
  })
  const who = nodes.length === 0 ? 'nobody else repairs' : `nodes ${nodes.join(', ')} may repair`
  session.output.result(named, `${who} its ${named.groups} groups, once a checkpoint says so`)
  return undefined
}

function removedText({ name, ending, others }: Json<RemovedFile>): string {
  if (others > 0) return `removed ${name}; its pack is kept for ${others} more`
  return `removed ${name}; ${ending} deals end by agreement, as their providers can be asked`
}

async function repairs(
  session: Session,
  link: string | undefined,
  { now }: { now?: boolean },
): Promise<undefined> {
  const api = await session.api()
  const method = now === true ? 'POST' : 'GET'
  const view = await api.json<Json<RepairView>>('/v1/repairs', { method, query: { link } })
  session.output.result(view, repairsText(view))
  return undefined
}

function repairsText(view: Json<RepairView>): string {
  const { groups, whole, repaired, repairedForOthers, shown, more } = view
  return [
    `${whole} of ${groups} groups of pieces are whole; ${repaired} pieces made again since the node started`,
    ...(repairedForOthers === 0 ? [] : [`${repairedForOthers} pieces made again for others`]),
    ...shown.flatMap(groupLines),
    ...(more === 0 ? [] : [`and ${more} more groups`]),
  ].join('\n')
}

/** States of places that are not live, as people are told. */
const STATES = {
  coming: 'on their way into a checkpoint',
  owing: 'owed an answer for',
  ending: 'ending and not renewed',
  contained: 'sealed wrong once',
  gone: 'gone',
} as const

function groupLines(group: Json<GroupView>): string[] {
  const { files, delegates, isManifest, k, n, live, threshold, repairing, lost, error, next } =
    group
  const states = Object.entries(STATES).flatMap(([state, text]) => {
    const count = group[state as keyof typeof STATES]
    return count === 0 ? [] : [`${count} ${text}`]
  })
  const doing = lost ? 'LOST' : repairing ? 'being repaired' : `repaired below ${threshold}`
  const helped = delegates.length === 0 ? '' : `; delegates ${delegates.join(', ')}`
  const what = isManifest ? 'manifest' : `pieces, needs ${k}`
  return [
    `${files.join(', ')}  ${[`${live} of ${n} ${what}`, ...states].join(', ')}; ${doing}${helped}`,
    ...(error === undefined
      ? []
      : [`  not repaired: ${error}${next === undefined ? '' : `; ${next}`}`]),
    ...[
      ...group.losses.map(({ epoch, place, provider, reason }) => ({
        epoch,
        text: `  epoch ${epoch}  node ${provider} keeps place ${place} no more (${reason})`,
      })),
      ...group.repairs.map(({ epoch, place, provider }) => ({
        epoch,
        text: `  epoch ${epoch}  place ${place} made again for node ${provider}`,
      })),
    ]
      .sort((a, b) => a.epoch - b.epoch)
      .map(({ text }) => text),
  ]
}

/** As wide as `255 of 256, needs 128, repairing`. */
const HEALTH_WIDTH = 32

function lineOf(file: Json<FileView>): string {
  const { name, link, bytes, createdAt } = file
  const date = new Date(createdAt).toISOString().slice(0, 16).replace('T', ' ')
  return `${date}  ${size(bytes).padStart(8)}  ${healthText(file).padEnd(HEALTH_WIDTH)}  ${name}\n  ${link}`
}

/** Shards of the worst group, of which any k suffice. */
function healthText({ bytes, k, n, shards, repairing }: Json<FileView>): string {
  if (shards !== undefined) return `${shards} of ${n}, needs ${k}${repairing ? ', repairing' : ''}`
  return bytes === 0 ? 'empty' : 'not known yet'
}
