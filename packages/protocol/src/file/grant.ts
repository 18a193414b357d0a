/**
 * A link sealed for one peer by HPKE (RFC 9180): base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
 * AES-256-GCM, `GRANT_INFO` as info and the version as additional data. The recipient's key is the
 * Montgomery image of its Ed25519 identity key, so that its peer id is enough to grant. Who does not
 * have that key learns nothing from the text, not even for whom it is.
 */
import { ByteVectorType } from '@chainsafe/ssz'
import { CairnError } from '../errors.ts'
import { Bytes32, ContainerType, decode, Uint8, type ValueOf } from '../ssz.ts'
import { TAG_BYTES } from './layout.ts'
import { FileLink } from './link.ts'
import { decodeText, encodeText, newerText, type TextForm } from './text.ts'

const VERSION = 1
/** HPKE's `info`: what is sealed for grants opens as nothing else. */
export const GRANT_INFO = new TextEncoder().encode('cairn file grant')
/** HPKE's additional data. */
export const GRANT_AAD = Uint8Array.of(VERSION)
const SEALED_BYTES = FileLink.maxSize + TAG_BYTES
/** The 122 bytes take 163 characters. */
const FORM: TextForm = { scheme: 'cairn-grant:', maxChars: 192, refuse }

const FileGrantBytes = new ContainerType(
  {
    version: Uint8,
    /** X25519 key made for this grant alone. */
    encapsulated: Bytes32,
    /** `encodeLinkBytes`, and the tag. */
    sealed: new ByteVectorType(SEALED_BYTES),
  },
  { typeName: 'FileGrant' },
)
export type FileGrant = Omit<ValueOf<typeof FileGrantBytes>, 'version'>

export function isGrant(text: string): boolean {
  return text.startsWith(FORM.scheme)
}

export function encodeGrant(grant: FileGrant): string {
  return encodeText(FileGrantBytes.serialize({ ...grant, version: VERSION }), FORM)
}

/** Throws `badGrant`, or `newerGrant` for what a later version made. */
export function parseGrant(text: string): FileGrant {
  const bytes = decodeText(text, FORM)
  const version = bytes[0] ?? 0
  if (version > VERSION) throw newerText('newerGrant', 'grant', version, VERSION)
  if (version !== VERSION) throw refuse('it has no version')
  try {
    const { encapsulated, sealed } = decode(FileGrantBytes, bytes)
    return { encapsulated, sealed }
  } catch (cause) {
    throw refuse('it has the wrong length', cause)
  }
}

function refuse(why: string, cause?: unknown): CairnError {
  return new CairnError('badGrant', `not a grant: ${why}`, {
    cause,
    next: 'copy the whole grant, from cairn-grant: to its end',
  })
}
