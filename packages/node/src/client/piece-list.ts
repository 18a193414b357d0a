/** The list of an upload's pieces, in order; a piece itself. */

import { CairnError, ContainerType, decode, Piece, Uint64, type ValueOf } from '@cairn/protocol'
import { ListCompositeType } from '@chainsafe/ssz'

/** 512 GiB in pieces of 8 MiB, 64 TiB in the largest; the list then has 2.3 MiB. */
export const LISTED_PIECES_MAX = 65_536

export const PieceList = new ContainerType(
  {
    /** Length of the whole, bytes: the sum of the payloads. */
    bytes: Uint64,
    pieces: new ListCompositeType(Piece, LISTED_PIECES_MAX),
  },
  { typeName: 'PieceList' },
)
export type PieceList = ValueOf<typeof PieceList>

/** Throws `badPieceList`. */
export function decodePieceList(bytes: Uint8Array): PieceList {
  let list: PieceList
  try {
    list = decode(PieceList, bytes)
  } catch (cause) {
    throw refuse('it is not one', cause)
  }
  const sum = list.pieces.reduce((total, { payload }) => total + BigInt(payload), 0n)
  if (sum !== list.bytes) throw refuse('its length is not that of its pieces')
  return list
}

function refuse(why: string, cause?: unknown): CairnError {
  return new CairnError('badPieceList', `the link leads to no list: ${why}`, { cause })
}
