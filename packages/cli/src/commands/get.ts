import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { CairnError } from '@cairn/protocol'
import { InvalidArgumentError, Option } from 'commander'
import { PartFile } from '../part-file.ts'
import { progress, size } from '../progress.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'

interface GetOptions {
  output: string
  force?: boolean
  range?: Range
}

/** Bytes of the file, both included; without `last` to its end. */
interface Range {
  first: number
  last?: number
}

export function getCommand({ program, action }: Commands): void {
  program
    .command('get <link>')
    .description('fetch what a link names; goes on where an earlier get of it broke off')
    .requiredOption('-o, --output <file>', 'where to write it; - is standard output')
    .option('--force', 'replace an existing file')
    .addOption(
      new Option(
        '--range <first-last>',
        'only these bytes, both included, counted from 0; 100- goes to the end',
      ).argParser(rangeOf),
    )
    .action(
      action(async (session, link: string, { output, force, range }: GetOptions) => {
        const wanted = { link, range: range ?? { first: 0 } }
        if (output === '-') await toStream(session, wanted, session.world.stdout)
        else {
          const path = resolve(session.world.cwd, output)
          await toFile(session, wanted, { path, force: force === true })
        }
        return undefined
      }),
    )
}

interface Wanted {
  link: string
  range: Range
}

async function toFile(
  session: Session,
  { link, range }: Wanted,
  { path, force }: { path: string; force: boolean },
): Promise<void> {
  const of = createHash('sha256')
    .update(`${link} ${range.first}-${range.last ?? ''}`)
    .digest('hex')
  const file = await PartFile.open({ path, of, force })
  const had = file.bytes
  if (had > 0) session.output.note(`goes on after ${size(had)}`)
  try {
    const rest = { ...range, first: range.first + had }
    const { bytes } = await fetch(session, { link, range: rest, had }, part => file.write(part))
    const sha256 = await file.finish()
    const total = had + bytes
    const text = `${path}  ${size(total)}  sha256 ${sha256}`
    session.output.result({ path, bytes: total, sha256 }, text)
  } catch (error) {
    await file.keep()
    throw error
  }
}

async function toStream(session: Session, wanted: Wanted, target: Writable): Promise<void> {
  const gone = new AbortController()
  // As when the reader of a pipe has seen enough. It stays: an error that is printed there fails too.
  target.on('error', (cause: unknown) => gone.abort(cause))
  await fetch(session, { ...wanted, had: 0 }, async part => {
    try {
      gone.signal.throwIfAborted()
      if (!target.write(part)) await once(target, 'drain', { signal: gone.signal })
    } catch {
      throw new CairnError('cannotWrite', 'cannot write to standard output', {
        cause: gone.signal.reason,
        next: 'see what has become of its reader',
      })
    }
  })
}

/** Hands each part on as it comes. Throws `incomplete` where the transfer breaks off. */
async function fetch(
  session: Session,
  { link, range, had }: Wanted & { had: number },
  take: (part: Uint8Array) => Promise<void>,
): Promise<{ bytes: number }> {
  const api = await session.api()
  const query = { link, first: range.first === 0 ? undefined : range.first, last: range.last }
  const response = await api.stream('/v1/get', { query })
  const length = Number(response.headers['content-length'])
  const shown = progress(session, { what: 'fetching', total: had + length, done: had })
  let bytes = 0
  let failure: { error: unknown } | undefined
  try {
    for await (const part of shown.through(response)) {
      await take(part).catch((error: unknown) => {
        failure = { error }
        throw error
      })
      bytes += part.length
    }
  } catch (cause) {
    if (session.signal.aborted || failure !== undefined) throw cause
    throw new CairnError('incomplete', 'the transfer broke off', {
      facts: { bytes: had + bytes, total: had + length },
      cause,
      next: 'run it again: it goes on where it ended; the log of the daemon says why it broke off',
    })
  } finally {
    shown.end()
  }
  return { bytes }
}

function rangeOf(text: string): Range {
  const [, first, last] = text.match(/^([0-9]{1,15})-([0-9]{1,15})?$/) ?? []
  if (first === undefined || (last !== undefined && Number(last) < Number(first))) {
    throw new InvalidArgumentError('expected FIRST-LAST, as in 0-99, or FIRST-')
  }
  return { first: Number(first), ...(last === undefined ? {} : { last: Number(last) }) }
}
