/**
 * The names of pieces. Version 2 (FRC-0069) is a raw CID whose multihash carries the padding, the
 * tree's height and the root, so it says how long the payload is; version 1 carries the root alone.
 */

import { varint } from 'multiformats'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { CairnError } from '../errors.ts'
import { equalBytes } from '../ssz.ts'
import { HEIGHT_MAX, NODE_BYTES, type Piece, payloadCapacity, treeHeight } from './piece.ts'

/** Multicodec table: raw; fr32-sha2-256-trunc254-padbintree. */
const RAW = 0x55
const PADDED_BINARY_TREE = 0x1011
/** fil-commitment-unsealed; sha2-256-trunc254-padded. */
const UNSEALED_COMMITMENT = 0xf101
const TRUNCATED_PADDED = 0x1012

/** No CID of a piece is longer; what is, is not looked at. */
const TEXT_MAX = 128

/** `bafkzcib...` */
export function pieceCid(piece: Piece): string {
  const height = treeHeight(piece)
  const padding = payloadCapacity(height) - piece.payload
  const length = varint.encodingLength(padding)
  const digest = new Uint8Array(length + 1 + NODE_BYTES)
  varint.encodeTo(padding, digest)
  digest[length] = height
  digest.set(piece.root, length + 1)
  return CID.createV1(RAW, create(PADDED_BINARY_TREE, digest)).toString(base32)
}

/**
 * Throws `badPieceCid` for anything but the one text that `pieceCid` gives: a padding that a smaller
 * tree would do without names the same bytes a second time.
 */
export function parsePieceCid(text: string): Piece {
  const digest = digestOf(text, RAW, PADDED_BINARY_TREE)
  const [padding, length] = readVarint(digest, text)
  const height = digest[length] ?? 0
  const root = digest.slice(length + 1)
  if (root.length !== NODE_BYTES) throw refuse(text, 'its digest is not a root of 32 bytes')
  if (height < 2 || height > HEIGHT_MAX) throw refuse(text, `its height ${height} is not 2 to 25`)
  const piece = { root, payload: payloadCapacity(height) - padding }
  if (piece.payload < 0 || pieceCid(piece) !== text) {
    throw refuse(text, 'its padding and height are not the shortest')
  }
  return piece
}

/** `baga6ea4seaq...`: how Filecoin's PDP contract and its deals name the root. */
export function pieceCidV1(root: Uint8Array): string {
  return CID.createV1(UNSEALED_COMMITMENT, create(TRUNCATED_PADDED, root)).toString(base32)
}

/** The root; throws `badPieceCid`. */
export function parsePieceCidV1(text: string): Uint8Array {
  const root = digestOf(text, UNSEALED_COMMITMENT, TRUNCATED_PADDED)
  if (root.length !== NODE_BYTES) throw refuse(text, 'its digest is not a root of 32 bytes')
  if (pieceCidV1(root) !== text) throw refuse(text, 'it is not in lower-case base32')
  return root.slice()
}

function digestOf(text: string, codec: number, hash: number): Uint8Array {
  if (text.length > TEXT_MAX) throw refuse(text.slice(0, TEXT_MAX), 'it is too long')
  let cid: CID
  try {
    cid = CID.parse(text, base32)
  } catch (cause) {
    throw refuse(text, 'it is no CID in base32', cause)
  }
  const { version, code, multihash } = cid
  if (version !== 1 || code !== codec || multihash.code !== hash) {
    throw refuse(text, `it has codec ${code} and hash ${multihash.code}`)
  }
  const again = create(hash, multihash.digest)
  if (!equalBytes(again.bytes, multihash.bytes)) throw refuse(text, 'its multihash is not minimal')
  return multihash.digest
}

function readVarint(bytes: Uint8Array, text: string): [number, number] {
  try {
    return varint.decode(bytes)
  } catch (cause) {
    throw refuse(text, 'its padding is no varint', cause)
  }
}

function refuse(text: string, why: string, cause?: unknown): CairnError {
  return new CairnError('badPieceCid', `not a piece CID: ${why}`, { facts: { text }, cause })
}
