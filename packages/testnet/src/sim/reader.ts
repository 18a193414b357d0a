/**
 * One reading of each message, shared by every node of a simulated world. The network hands the
 * same bytes to all of them, so what was read is found by the identity of the bytes, and is let go
 * of with them.
 */
import type { Envelope, Peeked, Reader, Rulebook } from '@cairn/protocol'

export function memoReader(plain: Reader): Reader {
  const envelopes = new WeakMap<Uint8Array, Envelope>()
  const ids = new WeakMap<Envelope, Uint8Array>()
  const roots = new WeakMap<Envelope, { network: Uint8Array; root: Uint8Array }>()
  const peeked = new WeakMap<Envelope, { kinds: Rulebook['kinds']; read: Peeked }>()
  return {
    envelope(bytes) {
      let envelope = envelopes.get(bytes)
      if (envelope === undefined) {
        envelope = plain.envelope(bytes)
        envelopes.set(bytes, envelope)
      }
      return envelope
    },
    id(envelope) {
      let id = ids.get(envelope)
      if (id === undefined) {
        id = plain.id(envelope)
        ids.set(envelope, id)
      }
      return id
    },
    root(envelope, network) {
      const known = roots.get(envelope)
      if (known?.network === network) return known.root
      const root = plain.root(envelope, network)
      roots.set(envelope, { network, root })
      return root
    },
    peek(envelope, book) {
      const known = peeked.get(envelope)
      // Books of the same kinds have the same rules.
      if (known !== undefined && known.kinds === book.kinds) return known.read
      const read = plain.peek(envelope, book)
      peeked.set(envelope, { kinds: book.kinds, read })
      return read
    },
  }
}
