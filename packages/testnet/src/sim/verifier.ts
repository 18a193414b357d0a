/** One memo of signature checks, shared by every node of a simulated world. */
import { byteKey, equalBytes, type Verifier } from '@cairn/protocol'

/** Checks remembered by their bytes; the oldest are forgotten. */
const CHECKS_MAX = 500_000

interface Check {
  message: Uint8Array
  publicKey: Uint8Array
  valid: boolean
}

/**
 * Nodes that share a message share its signature's bytes too: such a check is found by their
 * identity, and any other by what they are.
 */
export function memoVerifier(plain: Verifier): Verifier {
  const known = new Map<string, boolean>()
  const once = (kind: string, parts: readonly Uint8Array[], verify: () => boolean): boolean => {
    const key = `${kind}${parts.map(({ length }) => length)}/${parts.map(byteKey).join('')}`
    let valid = known.get(key)
    if (valid === undefined) {
      valid = verify()
      known.set(key, valid)
      if (known.size > CHECKS_MAX) known.delete(known.keys().next().value as string)
    }
    return valid
  }
  const bySignature = (kind: string, verify: Verifier['ed25519']): Verifier['ed25519'] => {
    const checks = new WeakMap<Uint8Array, Check>()
    return (message, publicKey, signature) => {
      const check = checks.get(signature)
      if (
        check !== undefined &&
        equalBytes(check.message, message) &&
        equalBytes(check.publicKey, publicKey)
      ) {
        return check.valid
      }
      const parts = [message, publicKey, signature]
      const valid = once(kind, parts, () => verify(message, publicKey, signature))
      checks.set(signature, { message, publicKey, valid })
      return valid
    }
  }
  return {
    ed25519: bySignature('e', plain.ed25519),
    bls: bySignature('b', plain.bls),
    drand: round =>
      once(`d${round.round}/`, [round.publicKey, round.signature], () => plain.drand(round)),
  }
}
