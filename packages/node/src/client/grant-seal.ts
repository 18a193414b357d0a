/** HPKE as grants use it (`grant.ts` of the protocol), by Web Cryptography. */
import {
  CairnError,
  decodeLinkBytes,
  ed25519,
  encodeGrant,
  encodeLinkBytes,
  type FileLink,
  GRANT_AAD,
  GRANT_INFO,
  parseGrant,
  x25519KeyOf,
  x25519SecretOf,
} from '@cairn/protocol'
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256 } from 'hpke'

const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM)
const OPTIONS = { info: GRANT_INFO, aad: GRANT_AAD }

/** A grant that the holder of this Ed25519 identity alone opens. Throws `badKey`. */
export async function sealGrant(link: FileLink, identity: Uint8Array): Promise<string> {
  const recipient = await suite.DeserializePublicKey(x25519KeyOf(identity))
  const { encapsulatedSecret, ciphertext } = await suite.Seal(
    recipient,
    encodeLinkBytes(link),
    OPTIONS,
  )
  return encodeGrant({ encapsulated: encapsulatedSecret, sealed: ciphertext })
}

/** Throws `badGrant`, `newerGrant`, and `otherRecipient` for what is not sealed for this secret. */
export async function openGrant(text: string, secret: Uint8Array): Promise<FileLink> {
  const { encapsulated, sealed } = parseGrant(text)
  // Both halves: to find the public one by the private one is experimental in Node.
  const recipient = {
    privateKey: await suite.DeserializePrivateKey(x25519SecretOf(secret), false),
    publicKey: await suite.DeserializePublicKey(x25519KeyOf(ed25519.publicKey(secret))),
  }
  let bytes: Uint8Array
  try {
    bytes = await suite.Open(recipient, encapsulated, sealed, OPTIONS)
  } catch (cause) {
    throw new CairnError('otherRecipient', 'the grant is not for this node', {
      cause,
      next: 'give your peer id, as `cairn status` shows it, to whoever granted it',
    })
  }
  return decodeLinkBytes(bytes)
}
