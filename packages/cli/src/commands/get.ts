import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { access, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { PassThrough, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CairnError, check } from '@cairn/protocol'
import { progress, size } from '../progress.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'

interface GetOptions {
  output: string
  force?: boolean
}

export function getCommand({ program, action }: Commands): void {
  program
    .command('get <link>')
    .description('fetch what a link names')
    .requiredOption('-o, --output <file>', 'where to write it; - is standard output')
    .option('--force', 'replace an existing file')
    .action(
      action(async (session, link: string, { output, force }: GetOptions) => {
        if (output === '-') await toStream(session, link, session.world.stdout)
        else await toFile(session, link, { path: resolve(session.world.cwd, output), force })
        return undefined
      }),
    )
}

async function toFile(
  session: Session,
  link: string,
  { path, force = false }: { path: string; force: boolean | undefined },
): Promise<void> {
  const taken = !force && (await exists(path))
  check(!taken, 'fileExists', `${path} exists already`, {
    facts: { path },
    next: 'pass --force to replace it',
  })
  // The name appears only with the whole content.
  const part = `${path}.part`
  try {
    const { bytes, sha256 } = await toStream(session, link, createWriteStream(part))
    await rename(part, path)
    session.output.result({ path, bytes, sha256 }, `${path}  ${size(bytes)}  sha256 ${sha256}`)
  } finally {
    await rm(part, { force: true })
  }
}

async function toStream(session: Session, link: string, target: Writable) {
  const api = await session.api()
  const response = await api.stream('/v1/get', { query: { link } })
  const length = response.headers['content-length']
  const total = length === undefined ? undefined : Number(length)
  const hash = createHash('sha256')
  let bytes = 0
  const counter = new PassThrough()
  counter.on('data', (chunk: Uint8Array) => {
    hash.update(chunk)
    bytes += chunk.length
  })
  const shown = progress(session, { what: 'fetching', total })
  try {
    await pipeline(response, shown, counter, target, { end: target !== session.world.stdout })
  } catch (cause) {
    if (session.signal.aborted) throw cause
    throw new CairnError('incomplete', 'the transfer broke off', {
      facts: { bytes, total },
      cause,
      next: 'try again; the log of the daemon says why',
    })
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
