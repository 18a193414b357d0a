/**
 * All of `Buffer` that @chainsafe/ssz asks for when it mixes in the length of a list: a page has
 * none, and the library takes it from the global scope. Loaded before the first codec is made;
 * where there is a `Buffer`, that one stays.
 */
class LengthBytes extends Uint8Array {
  writeUIntLE(value: number, offset: number, byteLength: number): number {
    let rest = value
    for (let i = 0; i < byteLength; i++) {
      this[offset + i] = rest % 256
      rest = Math.floor(rest / 256)
    }
    return offset + byteLength
  }
}

if (!('Buffer' in globalThis) || globalThis.Buffer === undefined) {
  Object.defineProperty(globalThis, 'Buffer', {
    configurable: true,
    writable: true,
    value: {
      from: (bytes: ArrayBuffer, offset: number, length: number) =>
        new LengthBytes(bytes, offset, length),
      alloc: (length: number) => new LengthBytes(length),
    },
  })
}

export {}
