import { resolve } from 'node:path'
import type { ForgottenView, Json, RebuiltView, VolumeView } from '@cairn/node'
import { size } from '../progress.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'

export function volumesCommand({ program, action }: Commands): void {
  const volumes = program.command('volumes').description('disks and buckets that this node offers')
  volumes
    .command('list', { isDefault: true })
    .description('list volumes with state, space taken, damage and scrub')
    .action(action(list))
  volumes
    .command('rebuild [place]')
    .description('make the catalogue of a volume, or of all, again from what is on it')
    .action(action(rebuild))
  volumes
    .command('forget <place>')
    .description('give up a volume that is away for good, and all that it held')
    .action(action(forget))
}

async function list(session: Session) {
  const api = await session.api()
  const { volumes } = await api.json<{ volumes: Json<VolumeView>[] }>('/v1/volumes')
  session.output.result(
    { volumes },
    volumes.length === 0 ? 'no volumes: set storage.quota' : volumes.map(text).join('\n'),
  )
  return undefined
}

async function rebuild(session: Session, place: string | undefined) {
  const query = place === undefined ? '' : queryOf(session, place)
  const api = await session.api()
  const path = `/v1/volumes/rebuild${query}`
  const done = await api.json<{ rebuilt: Json<RebuiltView>[] }>(path, { method: 'POST' })
  session.output.result(done, done.rebuilt.map(rebuiltText).join('\n'))
  return undefined
}

async function forget(session: Session, place: string) {
  const api = await session.api()
  const path = `/v1/volumes/forget${queryOf(session, place)}`
  const forgotten = await api.json<Json<ForgottenView>>(path, { method: 'POST' })
  const count = forgotten.lost.length
  session.output.result(
    forgotten,
    `gave up ${forgotten.location} with ${count} pieces; the place takes another volume at the next start`,
  )
  return undefined
}

/** A place as the node names it: an address, or a whole path. */
function queryOf({ world }: Session, place: string): string {
  const location = isBucket(place) ? place : resolve(world.cwd, place)
  return `?location=${encodeURIComponent(location)}`
}

/** As the node tells them apart; importing it costs a second's worth of modules. */
function isBucket(place: string): boolean {
  return /^https?:\/\//.test(place)
}

function text({ location, state, next, used, quota, pieces, damaged, scrub }: Json<VolumeView>) {
  const percent = Math.floor((100 * used) / quota)
  const about = `${size(used)} of ${size(quota)} (${percent} %), ${pieces} pieces`
  return [
    `${location}  ${state}  ${about}, ${scrubText(scrub)}`,
    ...(next === undefined ? [] : [`  ${next}`]),
    ...damaged.map(cid => `  damaged ${cid}`),
  ].join('\n')
}

function scrubText({ finished, left }: Json<VolumeView>['scrub']): string {
  const before = finished === undefined ? 'never scrubbed' : `scrubbed ${dayOf(finished)}`
  return left === undefined ? before : `${before}, ${size(left)} to go`
}

function rebuiltText({ location, pieces, bytes, damaged, lost }: Json<RebuiltView>): string {
  return [
    `${location}  ${pieces} pieces, ${size(bytes)}, ${damaged} newly damaged, ${lost.length} lost`,
    ...lost.map(cid => `  lost ${cid}`),
  ].join('\n')
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
