import { readFileSync } from 'node:fs'

interface CommpVectors {
  vectors: { input: [number, number][]; v1: string | null; v2: string }[]
  zeroRoots: Record<string, string>
}

const published: CommpVectors = JSON.parse(
  readFileSync(new URL('../vectors/commp.json', import.meta.url), 'utf8'),
)

/** FRC-0069's published pieces. */
export const pieces = published.vectors.map(({ input, v1, v2 }) => ({
  name: input.map(([byte, repeat]) => `${repeat} x ${byte}`).join(', ') || 'no bytes',
  payload: Uint8Array.from(input.flatMap(([byte, repeat]) => Array<number>(repeat).fill(byte))),
  v1,
  v2,
}))

export const zeroRoots = Object.entries(published.zeroRoots).map(
  ([height, root]) => [Number(height), root] as const,
)

/** Bytes that look random and are the same in every run. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let word = seed >>> 0 || 1
  for (let i = 0; i < length; i++) {
    word ^= word << 13
    word ^= word >>> 17
    word ^= word << 5
    bytes[i] = word
  }
  return bytes
}
