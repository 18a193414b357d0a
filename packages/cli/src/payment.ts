/** What a command pays it pays under a reference, so that a failure on the way is no second payment. */
import { randomUUID } from 'node:crypto'
import { CairnError } from '@cairn/protocol'
import { InvalidArgumentError } from 'commander'

/** After these what was paid for may be done all the same. */
const UNCERTAIN = new Set(['chainUnavailable', 'connectionLost', 'interrupted', 'internal'])

export const REFERENCE = [
  '--reference <name>',
  'a name for this payment: run again under the same, it is not made twice',
  referenceGiven,
] as const

/** Pays under the reference, or a new one, which an error names where the end is not known. */
export async function payOnce<T>(
  { reference = randomUUID(), signal }: { reference?: string | undefined; signal: AbortSignal },
  pay: (reference: string) => Promise<T>,
): Promise<T> {
  try {
    return await pay(reference)
  } catch (failure) {
    const error = signal.aborted ? signal.reason : failure
    if (!(error instanceof CairnError) || !UNCERTAIN.has(error.code)) throw error
    throw new CairnError(error.code, error.message, {
      cause: error,
      facts: { ...error.facts, reference },
      next: `run it again with --reference ${reference}: it is not paid twice`,
    })
  }
}

function referenceGiven(text: string): string {
  if (/^[A-Za-z0-9._-]{1,64}$/.test(text)) return text
  throw new InvalidArgumentError('expected up to 64 letters, digits, dots or dashes')
}
