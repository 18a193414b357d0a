/**
 * What a user keeps of a stored file: `cairn:` and, in base64url, a version, the piece that is its
 * manifest, which of the manifest's entries it is, and that entry's key. Whoever has the link reads
 * the file. Version 1 led to a plain list of pieces.
 */
import { CairnError } from '../errors.ts'
import { Piece } from '../piece/piece.ts'
import { Bytes32, ContainerType, decode, Uint8, Uint32, type ValueOf } from '../ssz.ts'
import { decodeText, encodeText, newerText, type TextForm } from './text.ts'

const VERSION = 2
/** The 73 bytes take 98 characters. */
const FORM: TextForm = { scheme: 'cairn:', maxChars: 128, refuse }

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
  return encodeText(encodeLinkBytes(link), FORM)
}

/** Throws `badLink`, `oldLink` for version 1, or `newerLink` for what a later version made. */
export function parseLink(text: string): FileLink {
  return decodeLinkBytes(decodeText(text, FORM))
}

/** What the text encodes: 73 bytes. */
export function encodeLinkBytes(link: FileLink): Uint8Array {
  return FileLink.serialize({ ...link, version: VERSION })
}

/** Throws as `parseLink`. */
export function decodeLinkBytes(bytes: Uint8Array): FileLink {
  const version = bytes[0] ?? 0
  if (version === 1) {
    throw new CairnError('oldLink', 'version 1 of links led to pieces in the clear', {
      facts: { found: version, known: VERSION },
      next: 'put the file again',
    })
  }
  if (version > VERSION) throw newerText('newerLink', 'link', version, VERSION)
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

function refuse(why: string, cause?: unknown): CairnError {
  return new CairnError('badLink', `not a link: ${why}`, {
    cause,
    next: 'copy the whole link, from cairn: to its end',
  })
}
