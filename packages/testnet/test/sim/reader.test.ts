import { strict as assert } from 'node:assert'
import {
  Envelope,
  KINDS,
  MessageType,
  messageId,
  messageSigningRoot,
  peek,
  plainReader,
  type Reader,
  Ready,
  rulebook,
} from '@cairn/protocol'
import { memoReader } from '../../src/sim/reader.ts'

const NETWORK = new Uint8Array(32).fill(1)
const envelope = {
  type: MessageType.ready,
  body: Ready.serialize({ epoch: 3, base: new Uint8Array(8), kind: 0, author: 4 }),
  signature: new Uint8Array(64),
}

/** A reader that counts what it is asked. */
function counting(): { reader: Reader; calls: string[] } {
  const calls: string[] = []
  const counted = <A extends unknown[], R>(name: string, call: (...args: A) => R) => {
    return (...args: A) => {
      calls.push(name)
      return call(...args)
    }
  }
  const reader = {
    envelope: counted('envelope', plainReader.envelope),
    id: counted('id', plainReader.id),
    root: counted('root', plainReader.root),
    peek: counted('peek', plainReader.peek),
  }
  return { reader, calls }
}

describe('reader shared by simulated nodes', () => {
  it('reads the same bytes once, and reads what the plain one does', () => {
    const { reader, calls } = counting()
    const shared = memoReader(reader)
    const bytes = Envelope.serialize(envelope)
    for (let node = 0; node < 3; node++) {
      const read = shared.envelope(bytes)
      assert.deepEqual(read, envelope)
      assert.deepEqual(shared.id(read), messageId(envelope))
      assert.deepEqual(shared.root(read, NETWORK), messageSigningRoot(envelope, NETWORK))
      const book = rulebook(KINDS)
      assert.deepEqual(shared.peek(read, book).value, peek(envelope, book).value)
    }
    assert.deepEqual(calls, ['envelope', 'id', 'root', 'peek'])
  })

  it('reads anew for another network and for other kinds', () => {
    const { reader, calls } = counting()
    const shared = memoReader(reader)
    const other = new Uint8Array(32).fill(2)
    assert.deepEqual(shared.root(envelope, NETWORK), messageSigningRoot(envelope, NETWORK))
    assert.deepEqual(shared.root(envelope, other), messageSigningRoot(envelope, other))
    shared.peek(envelope, rulebook(KINDS))
    shared.peek(envelope, rulebook([]))
    assert.deepEqual(calls, ['root', 'root', 'peek', 'peek'])
  })

  it('throws for the same bytes each time', () => {
    const shared = memoReader(plainReader)
    const bytes = Envelope.serialize(envelope).slice(0, 8)
    for (let i = 0; i < 2; i++) assert.throws(() => shared.envelope(bytes), { name: 'CairnError' })
  })
})
