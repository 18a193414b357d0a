/** Short bytes as text that people pass on: a scheme, then base64url. */
import { fromString } from 'uint8arrays/from-string'
import { toString as textOf } from 'uint8arrays/to-string'
import { CairnError } from '../errors.ts'

export interface TextForm {
  /** With its colon. */
  scheme: string
  /** Of what follows the scheme. */
  maxChars: number
  /** Refuses what is not of the form. */
  refuse(why: string, cause?: unknown): CairnError
}

export function encodeText(bytes: Uint8Array, { scheme }: Pick<TextForm, 'scheme'>): string {
  return scheme + textOf(bytes, 'base64url')
}

/** Throws what `refuse` gives. */
export function decodeText(text: string, { scheme, maxChars, refuse }: TextForm): Uint8Array {
  if (!text.startsWith(scheme)) throw refuse(`it does not begin with ${scheme}`)
  const encoded = text.slice(scheme.length)
  if (encoded.length > maxChars) throw refuse('it is too long')
  let bytes: Uint8Array
  try {
    bytes = fromString(encoded, 'base64url')
  } catch (cause) {
    throw refuse('it is not in base64url', cause)
  }
  // Of several texts that decode to the same bytes one is right.
  if (textOf(bytes, 'base64url') !== encoded) throw refuse('it is not in base64url')
  return bytes
}

export function newerText(code: string, what: string, found: number, known: number): CairnError {
  return new CairnError(code, `a newer version of cairn made this ${what}`, {
    facts: { found, known },
    next: 'install a newer version',
  })
}
