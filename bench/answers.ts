/**
 * A challenge answered from a disk: an inventory much larger than what was read lately, so that each
 * leaf is somewhere else on the disk.
 */
import { execFile } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { open, readdir, rm, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { HashPool, type PieceStore } from '@cairn/node'
import {
  askedLeaves,
  foundLeaf,
  inventoryOf,
  type Piece,
  payloadCapacity,
  pieceCid,
  pieceKey,
  proofRoot,
  sha256,
  subtreeRange,
} from '@cairn/protocol'
import { bytes32, dealOf, EPOCH, stateOf } from '../packages/protocol/test/kinds/storage/world.ts'
import { compare, type Line, quantile, rounded } from './measure.ts'
import { barePairs } from './pairs.ts'
import { openStore } from './volume.ts'

const GIB = 2 ** 30
/** 320 pieces make 10 GiB. */
const PIECES_PER_GIB = 32
/** Payload of 32 MiB of leaves. */
const PIECE_BYTES = payloadCapacity(20)
const SUBTREE_BYTES = 64 * 1024
const QUESTIONS = 200
const WARM_UPS = 20
/** Rounds after which what was read is forgotten again: until then they hardly meet. */
const FORGET_EVERY = 10

const run = promisify(execFile)

export async function answers(directory: string, inventoryGiB: number): Promise<Line[]> {
  const needed = inventoryGiB * 1.1 * GIB
  const { bavail, bsize } = await statfs(dirname(directory))
  if (bavail * bsize < needed) {
    throw new Error(`needs ${rounded(needed / GIB)} GiB in ${dirname(directory)}; see --inventory`)
  }
  const hashing = new HashPool()
  try {
    const store = await openStore(directory, { quota: needed, hashing })
    return await measured(store, directory, inventoryGiB)
  } finally {
    await hashing.close()
    await rm(directory, { recursive: true })
  }
}

async function measured(
  store: PieceStore,
  directory: string,
  inventoryGiB: number,
): Promise<Line[]> {
  const pieces: Piece[] = []
  for (let i = 0; i < PIECES_PER_GIB * inventoryGiB; i++) pieces.push(await store.put(random()))
  const inventory = inventoryOf(stateOf(pieces.map(piece => dealOf({ piece }))), 0, EPOCH)
  const paths = await pathsOf(pieces, directory)
  const leaves = randomFillSync(new Uint8Array(SUBTREE_BYTES))
  const question = (number: number) => {
    const output = new Uint8Array(96)
    output.set(sha256(bytes32(number)))
    return askedLeaves(inventory, output)
  }
  let forgotten = -1
  let isCold = true
  const { ours, other, ratio, rounds } = await compare({
    rounds: QUESTIONS,
    warmUps: WARM_UPS,
    prepare: async round => {
      if (round % FORGET_EVERY !== 0 || round === forgotten) return
      forgotten = round
      isCold = (await forget(paths.values())) && isCold
    },
    // Different leaves for each side: the second one would find them read.
    ours: async round => {
      const proven = question(2 * round).map(({ deal, leaf }) => store.prove(deal.deal.piece, leaf))
      proofRoot((await Promise.all(proven)).map(foundLeaf))
    },
    other: async round => {
      const reads = question(2 * round + 1).map(async ({ deal, leaf }) => {
        const { piece } = deal.deal
        await readPart(paths.get(pieceKey(piece)) as string, subtreeRange(piece, leaf))
        barePairs(leaves)
      })
      await Promise.all(reads)
    },
  })
  const [p99, bareP99] = [quantile(rounds.ours, 0.99), quantile(rounds.other, 0.99)]
  const where = `${pieces.length} pieces, ${inventoryGiB} GiB`
  const how = isCold ? 'page cache dropped' : 'page cache not dropped'
  const bare = `20 reads of 64 KiB and their pair hashes alone (${where}, ${how})`
  return [
    {
      name: 'prove.answer',
      value: ours,
      unit: 'ms',
      ratio,
      against: `${bare}: ${rounded(other)} ms`,
    },
    {
      name: 'prove.answer.p99',
      value: p99,
      unit: 'ms',
      ratio: bareP99 / p99,
      against: `${bare}: ${rounded(bareP99)} ms`,
    },
  ]
}

/**
 * Has the kernel forget what it read of these files, and of no others: that takes no rights but those
 * of their owner. False where there is no GNU dd to do so.
 */
async function forget(paths: Iterable<string>): Promise<boolean> {
  const forgetAll = 'for file; do dd if="$file" iflag=nocache count=0 status=none || exit 1; done'
  try {
    await run('sh', ['-c', forgetAll, 'sh', ...paths])
    return true
  } catch {
    return false
  }
}

/** Where the store keeps each payload. */
async function pathsOf(pieces: readonly Piece[], directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const byName = new Map(entries.map(entry => [entry.name, join(entry.parentPath, entry.name)]))
  return new Map(pieces.map(piece => [pieceKey(piece), byName.get(pieceCid(piece)) as string]))
}

async function readPart(path: string, { offset, length }: { offset: number; length: number }) {
  const file = await open(path, 'r')
  try {
    await file.read(new Uint8Array(length), 0, length, offset)
  } finally {
    await file.close()
  }
}

/** The payload of one piece, which no other has. */
async function* random(): AsyncGenerator<Uint8Array> {
  for (let left = PIECE_BYTES; left > 0; left -= 2 ** 20) {
    yield randomFillSync(new Uint8Array(Math.min(left, 2 ** 20)))
  }
}
