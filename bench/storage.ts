/** Pieces and their proofs, a provider's disk and a client's file, on whatever volume holds the temporary directory. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers } from './answers.ts'
import { commp } from './commp.ts'
import { erasure } from './erasure.ts'
import type { GroupOptions, Line } from './measure.ts'
import { proof } from './proof.ts'
import { put } from './put.ts'
import { putGet } from './putget.ts'

export async function* storage({ inventoryGiB, size }: GroupOptions): AsyncGenerator<Line> {
  yield* commp()
  yield* erasure()
  yield await proof()
  const directory = await mkdtemp(join(tmpdir(), 'cairn-bench-'))
  try {
    yield* await answers(join(directory, 'pieces'), inventoryGiB)
    yield await put(join(directory, 'put'))
    yield* putGet({ directory: join(directory, 'putget'), size })
  } finally {
    await rm(directory, { recursive: true })
  }
}
