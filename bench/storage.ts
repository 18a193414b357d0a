/** A provider's disk and a client's file, on whatever volume holds the temporary directory. */
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PieceStore } from '@cairn/node'
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
import { pattern } from '../packages/protocol/test/piece/vectors.ts'
import { erasure } from './erasure.ts'
import { compare, type Line, quantile, rounded } from './measure.ts'
import { barePairs } from './pairs.ts'
import { openStore, put } from './put.ts'

const PIECES = 64
/** Payload of 1 MiB of leaves. */
const PIECE_BYTES = payloadCapacity(15)
const SUBTREE_BYTES = 64 * 1024
const QUESTIONS = 200

export async function* storage(): AsyncGenerator<Line> {
  yield* erasure()
  const directory = await mkdtemp(join(tmpdir(), 'cairn-bench-'))
  try {
    yield* await answers(await openStore(join(directory, 'pieces')), join(directory, 'pieces'))
    yield await put(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function answers(store: PieceStore, directory: string): Promise<Line[]> {
  const pieces: Piece[] = []
  for (let i = 0; i < PIECES; i++) pieces.push(await store.put(once(pattern(PIECE_BYTES, i + 1))))
  const inventory = inventoryOf(stateOf(pieces.map(piece => dealOf({ piece }))), 0, EPOCH)
  const paths = await pathsOf(pieces, directory)
  const leaves = pattern(SUBTREE_BYTES)
  const question = (round: number) => {
    const output = new Uint8Array(96)
    output.set(sha256(bytes32(round)))
    return askedLeaves(inventory, output)
  }
  const { ours, other, ratio, rounds } = await compare({
    rounds: QUESTIONS,
    warmUps: 20,
    ours: async round => {
      const proven = question(round).map(({ deal, leaf }) => store.prove(deal.deal.piece, leaf))
      proofRoot((await Promise.all(proven)).map(foundLeaf))
    },
    other: async round => {
      const reads = question(round).map(async ({ deal, leaf }) => {
        const { piece } = deal.deal
        await readPart(paths.get(pieceKey(piece)) as string, subtreeRange(piece, leaf))
        barePairs(leaves)
      })
      await Promise.all(reads)
    },
  })
  const [p99, bareP99] = [quantile(rounds.ours, 0.99), quantile(rounds.other, 0.99)]
  const bare = '20 reads of 64 KiB and their pair hashes alone'
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

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
