import { basename } from 'node:path'
import { Readable } from 'node:stream'
import type { Json, PutResult } from '@cairn/node'
import { CairnError, ENTRIES_MAX, SHARDS_MAX } from '@cairn/protocol'
import { InvalidArgumentError, Option } from 'commander'
import { type Input, openInput } from '../input.ts'
import { type Progress, progress, size } from '../progress.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'

/** Files up to this length are packed together: alone each would take n pieces of its own, bytes. */
const PACKED_FILE_MAX = 4 * 1024 * 1024
/** A pack stays until its last file goes: small enough to be rid of, bytes. */
const PACK_MAX = 64 * 1024 * 1024

interface PutOptions {
  name?: string
  shards?: Shape
}

interface Shape {
  data: number
  total: number
}

/** What the daemon answers for one file. */
type PutAnswer = Omit<Json<PutResult>, 'files'> & { link: string }

interface NamedInput extends Input {
  name: string
}

export function putCommand({ program, action }: Commands): void {
  program
    .command('put <file...>')
    .description('store files with providers and print their links; - reads standard input')
    .addOption(
      new Option(
        '--shards <k/n>',
        'n shards with n operators, of which any k suffice; 10/30, or less while there are fewer operators',
      ).argParser(shapeOf),
    )
    .option('--name <name>', 'file name to keep, of a single file')
    .action(
      action(async (session, paths: string[], { name, shards }: PutOptions) => {
        const inputs = await openAll(session, paths, name)
        const shown = progress(session, { what: 'storing', total: totalOf(inputs) })
        const results: Json<PutResult>[] = []
        try {
          for (const batch of batchesOf(inputs)) {
            results.push(await put(session, batch, { shape: shards, shown }))
          }
          await report(session, results)
        } catch (error) {
          throw results.length === 0 ? error : await partly(session, results, error)
        } finally {
          shown.end()
        }
        return undefined
      }),
    )
}

async function openAll(
  { world, signal }: Session,
  paths: readonly string[],
  name: string | undefined,
): Promise<NamedInput[]> {
  if (name !== undefined && paths.length > 1) {
    throw new CairnError('usage', '--name is for a single file')
  }
  const inputs: NamedInput[] = []
  for (const path of paths) {
    const input = await openInput(world, path, signal)
    inputs.push({ ...input, name: name ?? (path === '-' ? '' : basename(path)) })
  }
  return inputs
}

async function put(
  session: Session,
  batch: readonly NamedInput[],
  { shape, shown }: { shape: Shape | undefined; shown: Progress },
): Promise<Json<PutResult>> {
  const api = await session.api()
  const query = { data: shape?.data, total: shape?.total }
  const [only, ...others] = batch as [NamedInput, ...NamedInput[]]
  if (others.length > 0) {
    const body = Readable.from(shown.through(packed(batch)), { objectMode: false })
    return await api.json<Json<PutResult>>('/v1/pack', { method: 'POST', body, query })
  }
  const { name } = only
  const body = Readable.from(shown.through(only.open()), { objectMode: false })
  const { link, ...rest } = await api.json<PutAnswer>('/v1/put', {
    method: 'POST',
    body,
    query: { ...query, name },
  })
  return { files: [{ name, link, bytes: rest.bytes }], ...rest }
}

/** Small ones together, each of the others alone; what has no known length is none of the small. */
function batchesOf(inputs: readonly NamedInput[]): NamedInput[][] {
  const batches: NamedInput[][] = []
  let pack: NamedInput[] = []
  let packBytes = 0
  for (const input of inputs) {
    const { bytes = Number.POSITIVE_INFINITY } = input
    if (bytes > PACKED_FILE_MAX) {
      batches.push([input])
      continue
    }
    if (pack.length === ENTRIES_MAX || packBytes + bytes > PACK_MAX) {
      batches.push(pack)
      pack = []
      packBytes = 0
    }
    pack.push(input)
    packBytes += bytes
  }
  return pack.length > 0 ? [...batches, pack] : batches
}

/** The body of `/v1/pack`. */
async function* packed(inputs: readonly NamedInput[]): AsyncGenerator<Uint8Array> {
  const head = inputs.map(({ name, bytes }) => ({ name, bytes }))
  yield new TextEncoder().encode(`${JSON.stringify(head)}\n`)
  for (const { path, bytes, open } of inputs) {
    let read = 0
    for await (const part of open()) {
      read += part.length
      yield part
    }
    if (read === bytes) continue
    throw new CairnError('fileChanged', `${path} changed while it was read`, {
      facts: { path, expected: bytes, found: read },
      next: 'put it again',
    })
  }
}

function totalOf(inputs: readonly NamedInput[]): number | undefined {
  let total = 0
  for (const { bytes } of inputs) {
    if (bytes === undefined) return undefined
    total += bytes
  }
  return total
}

async function report({ output }: Session, results: readonly Json<PutResult>[]): Promise<void> {
  const { shortfallText } = await import('@cairn/node')
  for (const { bytes, pieces, k, n, refusals } of results) {
    const lost = n - k
    output.note(
      `${size(bytes)} in ${pieces.length} pieces, ${k} of ${n}: any ${lost} of the ${n} providers may be lost`,
    )
    for (const { provider, code, shortfall } of refusals) {
      const numbers = shortfall === undefined ? '' : ` (${shortfallText(code, shortfall)})`
      output.note(`  node ${provider} refused: ${code}${numbers}`)
    }
  }
  const files = results.flatMap(result => result.files)
  const [first] = results
  const text = files.map(({ name, link }) => (files.length === 1 ? link : `${link}  ${name}`))
  if (first !== undefined && files.length === 1) {
    const { files: _, ...rest } = first
    output.result({ link: files[0]?.link, ...rest }, text.join('\n'))
    return
  }
  const uploads = results.map(({ files: stored, ...rest }) => ({ files: stored, ...rest }))
  output.result({ files, uploads }, text.join('\n'))
}

/** What was stored before a failure is paid for, so that nobody should have to put it again. */
async function partly(
  session: Session,
  results: readonly Json<PutResult>[],
  error: unknown,
): Promise<unknown> {
  if (!session.output.json) await report(session, results)
  if (!(error instanceof CairnError)) return error
  const stored = results.flatMap(({ files }) => files.map(({ name, link }) => `${link} ${name}`))
  return new CairnError(error.code, error.message, {
    facts: { ...error.facts, stored: stored.join(', ') },
    cause: error,
    next: `${error.next === undefined ? '' : `${error.next}; `}${stored.length} of the files are stored: put only the others again`,
  })
}

function shapeOf(text: string): Shape {
  const [, data, total] = text.match(/^([0-9]{1,3})\/([0-9]{1,3})$/) ?? []
  if (data === undefined || total === undefined) {
    throw new InvalidArgumentError('expected K/N, as in 10/30')
  }
  const shape = { data: Number(data), total: Number(total) }
  if (shape.data < 1 || shape.data > shape.total || shape.total > SHARDS_MAX) {
    throw new InvalidArgumentError(`expected 1 <= K <= N <= ${SHARDS_MAX}`)
  }
  return shape
}
