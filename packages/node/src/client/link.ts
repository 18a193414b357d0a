/**
 * What a user keeps of an upload: `cairn:` and, in base64url, a version, flags, and the
 * piece that lists the others. Version 1 stores bytes as they are given: whoever holds a piece can read it, and whoever
 * knows the link can fetch it all. Encrypt before `put` what others must not read; a later version
 * carries the key in the link.
 */
import { CairnError, ContainerType, decode, Piece, Uint8, type ValueOf } from '@cairn/protocol'

const SCHEME = 'cairn:'
const VERSION = 1
/** No flag is defined in version 1. */
const NO_FLAGS = 0

const Link = new ContainerType({ version: Uint8, flags: Uint8, list: Piece }, { typeName: 'Link' })
type Link = ValueOf<typeof Link>

export function encodeLink(list: Piece): string {
  const bytes = Link.serialize({ version: VERSION, flags: NO_FLAGS, list })
  return SCHEME + Buffer.from(bytes).toString('base64url')
}

/** The piece that lists the others. Throws `badLink`, or `newerLink` for what a later version made. */
export function parseLink(text: string): Piece {
  if (!text.startsWith(SCHEME)) throw refuse('it does not begin with cairn:')
  const encoded = text.slice(SCHEME.length)
  const bytes = new Uint8Array(Buffer.from(encoded, 'base64url'))
  // Buffer skips what is no base64url; only the text that it gives back is a link.
  if (Buffer.from(bytes).toString('base64url') !== encoded) throw refuse('it is not in base64url')
  if (bytes[0] !== undefined && bytes[0] > VERSION) {
    throw new CairnError('newerLink', 'a newer version of cairn made this link', {
      facts: { found: bytes[0], known: VERSION },
      next: 'install a newer version',
    })
  }
  let link: Link
  try {
    link = decode(Link, bytes)
  } catch (cause) {
    throw refuse('it has the wrong length', cause)
  }
  if (link.version !== VERSION || link.flags !== NO_FLAGS) throw refuse('it has unknown flags')
  return link.list
}

function refuse(why: string, cause?: unknown): CairnError {
  return new CairnError('badLink', `not a link: ${why}`, {
    cause,
    next: 'copy the whole link, from cairn: to its end',
  })
}
