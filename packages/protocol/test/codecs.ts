/** Values of any SSZ type, and every codec that the package exports. */
import * as protocol from '@cairn/protocol'
import {
  BitArray,
  BitListType,
  BitVectorType,
  ByteListType,
  ByteVectorType,
  CompositeType,
  ContainerType,
  ListBasicType,
  ListCompositeType,
  UintBigintType,
  UintNumberType,
  VectorBasicType,
  VectorCompositeType,
} from '@chainsafe/ssz'
import fc from 'fast-check'

/** Longest list and byte string that is made up. */
const ITEMS_MAX = 4
const BYTES_MAX = 40

export function codecs(): [string, protocol.Codec<unknown>][] {
  return Object.entries<unknown>(protocol).filter(
    (entry): entry is [string, protocol.Codec<unknown>] => entry[1] instanceof CompositeType,
  )
}

export function anyValue(type: unknown): fc.Arbitrary<unknown> {
  if (type instanceof UintNumberType) return fc.nat({ max: 2 ** (8 * type.byteLength) - 1 })
  if (type instanceof UintBigintType) {
    return fc.bigInt({ min: 0n, max: 2n ** BigInt(8 * type.byteLength) - 1n })
  }
  if (type instanceof ByteVectorType) return bytes(type.lengthBytes, type.lengthBytes)
  if (type instanceof ByteListType) return bytes(0, Math.min(type.limitBytes, BYTES_MAX))
  if (type instanceof BitVectorType) return bits(type.lengthBits, type.lengthBits)
  if (type instanceof BitListType) return bits(0, Math.min(type.limitBits, BYTES_MAX))
  if (type instanceof VectorBasicType || type instanceof VectorCompositeType) {
    return list(type.elementType, type.length, type.length)
  }
  if (type instanceof ListBasicType || type instanceof ListCompositeType) {
    return list(type.elementType, 0, Math.min(type.limit, ITEMS_MAX))
  }
  if (type instanceof ContainerType) {
    const fields = Object.entries(type.fields as Record<string, unknown>)
    return fc.record(Object.fromEntries(fields.map(([name, field]) => [name, anyValue(field)])))
  }
  throw new Error(`no values are made up of ${type}`)
}

function bytes(minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength, maxLength })
}

function bits(minLength: number, maxLength: number): fc.Arbitrary<BitArray> {
  return fc.array(fc.boolean(), { minLength, maxLength }).map(BitArray.fromBoolArray)
}

function list(element: unknown, minLength: number, maxLength: number): fc.Arbitrary<unknown[]> {
  return fc.array(anyValue(element), { minLength, maxLength })
}
