/**
 * What is on the volumes of a process that is killed at any step. A killed process loses nothing that
 * the machine was given; what a power failure takes is up to the syncs, which no test here sees.
 */
import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { hashPiece, type Piece, pieceCid } from '@cairn/protocol'
import { openAll, PIECES, PLACES, payloadOf, type Said } from './crash-victim.ts'

const VICTIM = fileURLToPath(new URL('./crash-victim.ts', import.meta.url))
/** More by CAIRN_CRASH_ROUNDS; the same again by CAIRN_SEED. */
const ROUNDS = Number(process.env.CAIRN_CRASH_ROUNDS ?? 24)
const SEED = Number(process.env.CAIRN_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** What is known of a piece from what was promised of it. */
type Known = 'present' | 'absent' | 'either'

class Model {
  readonly pieces = Array.from({ length: PIECES }, (_, i) => hashPiece(payloadOf(i)).piece)
  readonly #known: Known[] = Array.from({ length: PIECES }, () => 'absent')
  /** Their bytes may be wrong, whether anybody noticed or not. */
  readonly #spoilt = new Set<number>()

  known(piece: number): Known {
    return this.#known[piece] as Known
  }

  isSpoilt(piece: number): boolean {
    return this.#spoilt.has(piece)
  }

  hear({ event, work, piece }: Said): void {
    if (piece === undefined) return
    const known = this.known(piece)
    if (work === 'put') {
      if (event === 'done') {
        this.#known[piece] = 'present'
        this.#spoilt.delete(piece)
      } else if (known === 'absent') {
        this.#known[piece] = 'either'
        this.#spoilt.delete(piece)
      }
    } else if (work === 'delete') {
      assert.notEqual(event, 'refused')
      this.#known[piece] = event === 'done' ? 'absent' : 'either'
      if (event === 'done') this.#spoilt.delete(piece)
    } else if (work === 'spoil') {
      this.#known[piece] = 'either'
      this.#spoilt.add(piece)
    } else if (work === 'verify' && event === 'done' && this.isSpoilt(piece)) {
      this.#known[piece] = 'absent'
    }
  }
}

describe('pieces of a process that is killed', () => {
  let directory: string

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-crash-'))
  })
  after(() => rm(directory, { recursive: true }))

  it(`are all that it acknowledged, and nothing else is counted (seed ${SEED})`, async function () {
    this.timeout(ROUNDS * 30_000)
    const model = new Model()
    for (let round = 0; round < ROUNDS; round++) {
      const seed = SEED + round
      for (const said of await victim(join(directory, 'home'), seed)) model.hear(said)
      // The next victim, not this check, ends what was left.
      const copy = join(directory, 'copy')
      await cp(join(directory, 'home'), copy, { recursive: true })
      try {
        await inspect(copy, model)
      } catch (cause) {
        throw new Error(`seed ${seed}, round ${round} of CAIRN_SEED=${SEED}`, { cause })
      }
      await rm(copy, { recursive: true })
    }
  })
})

/** What it said until it killed itself. */
async function victim(home: string, seed: number): Promise<Said[]> {
  const args = ['--conditions=cairn-source', VICTIM, home, String(seed)]
  const child = spawn(process.execPath, args)
  const [said, errors, [, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  assert.equal(signal, 'SIGKILL', `seed ${seed}: ${errors}`)
  const lines = said.split('\n').slice(0, -1)
  return lines.map(line => JSON.parse(line) as Said)
}

async function inspect(home: string, model: Model): Promise<void> {
  const { volumes, store } = await openAll(home)
  try {
    assert.deepEqual(
      volumes.report().map(({ state }) => state),
      ['present', 'present'],
    )
    for (const [index, piece] of model.pieces.entries()) {
      const known = model.known(index)
      const has = volumes.has(piece)
      if (known !== 'either') assert.equal(has, known === 'present', `piece ${index} is ${known}`)
      if (has && !model.isSpoilt(index)) {
        const bytes = await volumes.read(piece, 0, piece.payload)
        assert.deepEqual(Buffer.from(bytes), Buffer.from(payloadOf(index)), `piece ${index}`)
      }
    }
    await nothingElse(
      home,
      volumes.stores.map(part => [part.list(), part.lost()] as const),
    )
    const used = volumes.usage().used
    assert.equal(used, await bytesOn(home), 'what is counted is what is there')
    const rebuilt = await volumes.rebuild()
    assert.deepEqual(
      rebuilt.map(({ rebuilt: { lost, damaged } }) => [lost, damaged]),
      [
        [[], 0],
        [[], 0],
      ],
    )
    assert.equal(volumes.usage().used, used, 'and a walk finds the same')
  } finally {
    await store.close()
  }
}

/** Each file is the label's, or belongs to a piece that the volume knows. */
async function nothingElse(home: string, held: readonly (readonly [Piece[], Piece[]])[]) {
  for (const [at, place] of PLACES.entries()) {
    const [kept, damaged] = held[at] as readonly [Piece[], Piece[]]
    const names = new Set([
      'volume.json',
      ...kept.map(pieceCid).flatMap(cid => [cid, `${cid}.tree`].map(name => `pieces ${name}`)),
      ...damaged.map(piece => `damaged ${pieceCid(piece)}`),
    ])
    for (const { folder, name } of await filesOf(join(home, place))) {
      const found = folder === '' ? name : `${folder} ${name}`
      assert.ok(names.delete(found), `${place}: ${found} belongs to nobody`)
    }
    // Of a damaged piece nothing may be left to move apart.
    const missing = [...names].filter(name => !name.startsWith('damaged'))
    assert.deepEqual(missing, [], `${place}: is kept, and not there`)
  }
}

async function bytesOn(home: string): Promise<number> {
  let sum = 0
  for (const place of PLACES) {
    for (const { folder, path } of await filesOf(join(home, place))) {
      if (folder !== '') sum += (await stat(path)).size
    }
  }
  return sum
}

async function filesOf(volume: string) {
  const entries = await readdir(volume, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => {
      const [folder = ''] = parentPath.slice(volume.length + 1).split('/')
      return { folder, name, path: join(parentPath, name) }
    })
}
