/**
 * fr32: the payload's bits in order, two zero bits after every 254, so that each 32-byte word is
 * below the modulus of the field that Filecoin's proofs work in.
 */
import { base64pad } from 'multiformats/bases/base64'
import { type Runs, runsHere } from '../web-assembly.ts'
import { scalarFr32 } from './fr32-scalar.ts'
import { simdFr32 } from './fr32-simd.ts'
import { SIMD } from './generated/fr32.ts'
import { QUAD_BYTES, QUAD_PAYLOAD, SUBTREE_PAYLOAD } from './piece.ts'

/** Padded at once: the leaves of 16 subtrees, 1 MiB, are a level that the batch hasher likes. */
export const FR32_PAYLOAD_MAX = 16 * SUBTREE_PAYLOAD

/**
 * 128 bytes for each 127 of a payload of at most `FR32_PAYLOAD_MAX`; its last quad is filled up with
 * zeros. They are valid until the next call.
 */
export type Fr32 = (payload: Uint8Array) => Uint8Array

/** The fastest that the platform runs. */
export function fastestFr32(runs: Runs = runsHere): Fr32 {
  const code = base64pad.baseDecode(SIMD)
  return runs(code) ? simdFr32(code, FR32_PAYLOAD_MAX) : scalarFr32(FR32_PAYLOAD_MAX)
}

/** Made when it is first needed: it holds its memory, 1 to 2 MiB, from then on. */
let own: Fr32 | undefined

/** `Fr32` of the whole thread: what it gives is to be used up before anything else is padded. */
export function fr32Leaves(payload: Uint8Array): Uint8Array {
  own ??= fastestFr32()
  return own(payload)
}

/** Pads a payload of any length; its last quad is filled up with zeros. 128 bytes for each 127. */
export function fr32Pad(payload: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(payload.length / QUAD_PAYLOAD) * QUAD_BYTES)
  for (let at = 0, to = 0; at < payload.length; at += FR32_PAYLOAD_MAX) {
    const leaves = fr32Leaves(payload.subarray(at, at + FR32_PAYLOAD_MAX))
    padded.set(leaves, to)
    to += leaves.length
  }
  return padded
}
