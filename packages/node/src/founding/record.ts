/**
 * `founding.json`: what a deployment was begun with, written before anything is paid. Who comes back
 * with other settings, another account or another chain is refused, or would pay for a second
 * network whose contracts name those of the first.
 */
import { open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CairnError, check, equalBytes } from '@cairn/protocol'
import { z } from 'zod'
import { issuesText } from '../issues.ts'
import { hasCode } from '../lock.ts'

const hexOf = (digits: number) =>
  z.templateLiteral(['0x', z.string().regex(new RegExp(`^[0-9a-fA-F]{${digits}}$`))])

const RecordFile = z.strictObject({
  schema: z.literal(1),
  chainId: z.int().min(1),
  /** That pays. */
  account: hexOf(40),
  /** The account's, of the first transaction: the addresses of the contracts follow from it. */
  nonce: z.int().min(0),
  /** No contract of the deployment is older. */
  fromBlock: z.int().min(0),
  /** keccak256 of all that is to be sent. */
  calls: hexOf(64),
})
export type FoundingRecord = z.infer<typeof RecordFile>

export function recordPath(directory: string): string {
  return join(directory, 'founding.json')
}

/** Undefined where nothing was begun. Rejects with `foundingDamaged`. */
export async function readRecord(path: string): Promise<FoundingRecord | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw damaged(path, error instanceof Error ? error.message : String(error), error)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw damaged(path, 'it is not JSON', cause)
  }
  const result = RecordFile.safeParse(value)
  if (!result.success) throw damaged(path, issuesText(result.error), result.error)
  return result.data
}

/** Whole and durable when it resolves, or as it was before, whatever happens meanwhile. */
export async function writeRecord(path: string, record: FoundingRecord): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify(record, undefined, 2)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
  const directory = await open(dirname(path))
  await directory.sync().finally(() => directory.close())
}

/**
 * Writes a file that is not there. One that a crash left half is written anew; rejects with
 * `fileExists` where it says something else.
 */
export async function writeOnce(path: string, bytes: Uint8Array): Promise<void> {
  const there = await readFile(path).catch(error => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (there === undefined) {
    const file = await open(`${path}.new`, 'w')
    await file
      .writeFile(bytes)
      .then(() => file.sync())
      .finally(() => file.close())
    return await rename(`${path}.new`, path)
  }
  check(equalBytes(new Uint8Array(there), bytes), 'fileExists', `${path} says something else`, {
    facts: { path },
    next: 'operators may have it already: take the settings of before, or remove it',
  })
}

function damaged(path: string, why: string, cause: unknown): CairnError {
  return new CairnError('foundingDamaged', `${path} cannot be read: ${why}`, {
    cause,
    facts: { path },
    next: 'restore it from a copy, or begin in another directory; what was paid for so far is lost',
  })
}
