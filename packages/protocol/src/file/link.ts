/**
 * What a user keeps of a stored file: `cairn:` and, in base64url, a version, the piece that is its
 * manifest, which of the manifest's entries it is, and that entry's key. Whoever has the link reads
 * the file. Version 1 led to a plain list of pieces.
 */
import { fromString } from 'uint8arrays/from-string'
import { toString as textOf } from 'uint8arrays/to-string'
import { CairnError } from '../errors.ts'
import { Piece } from '../piece/piece.ts'
import { Bytes32, ContainerType, decode, Uint8, Uint32, type ValueOf } from '../ssz.ts'

const SCHEME = 'cairn:'
const VERSION = 2
/** The 73 bytes take 98 characters. */
const ENCODED_MAX_CHARS = 128

export const FileLink = new ContainerType(
  {
    version: Uint8,
    manifest: Piece,
    entry: Uint32,
    /** `entryKey`. */
    key: Bytes32,
  },
  { typeName: 'FileLink' },
)
export type FileLink = Omit<ValueOf<typeof FileLink>, 'version'>

export function encodeLink(link: FileLink): string {
  return SCHEME + textOf(FileLink.serialize({ ...link, version: VERSION }), 'base64url')
}

/** Throws `badLink`, `oldLink` for version 1, or `newerLink` for what a later version made. */
export function parseLink(text: string): FileLink {
  if (!text.startsWith(SCHEME)) throw refuse('it does not begin with cairn:')
  const bytes = fromBase64Url(text.slice(SCHEME.length))
  const version = bytes[0] ?? 0
  if (version === 1) {
    throw new CairnError('oldLink', 'version 1 of links led to pieces in the clear', {
      facts: { found: version, known: VERSION },
      next: 'put the file again',
    })
  }
  if (version > VERSION) {
    throw new CairnError('newerLink', 'a newer version of cairn made this link', {
      facts: { found: version, known: VERSION },
      next: 'install a newer version',
    })
  }
  if (version !== VERSION) throw refuse('it has no version')
  let link: ValueOf<typeof FileLink>
  try {
    link = decode(FileLink, bytes)
  } catch (cause) {
    throw refuse('it has the wrong length', cause)
  }
  const { manifest, entry, key } = link
  return { manifest, entry, key }
}

function fromBase64Url(encoded: string): Uint8Array {
  if (encoded.length > ENCODED_MAX_CHARS) throw refuse('it is too long')
  let bytes: Uint8Array
  try {
    bytes = fromString(encoded, 'base64url')
  } catch (cause) {
    throw refuse('it is not in base64url', cause)
  }
  // Of several texts that decode to the same bytes one is the link.
  if (textOf(bytes, 'base64url') !== encoded) throw refuse('it is not in base64url')
  return bytes
}

function refuse(why: string, cause?: unknown): CairnError {
  return new CairnError('badLink', `not a link: ${why}`, {
    cause,
    next: 'copy the whole link, from cairn: to its end',
  })
}
