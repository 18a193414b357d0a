import { strict as assert } from 'node:assert'
import { RpcRequestError } from 'viem'
import { contractCommitteeWord, contractLogCount } from '../../src/chain/log-count.ts'
import type { Client } from '../../src/chain/rpc.ts'

const CONTRACT = `0x${'c0'.repeat(20)}` as const
const BLOCK = { hash: new Uint8Array(32).fill(1) }
const word = (digits: string) => `0x${digits.padStart(64, '0')}`

/** An endpoint that answers every call with this. */
const answering = (answer: unknown) => ({ request: async () => answer }) as unknown as Client
const refusing = {
  request: async () => {
    const error = { code: -32_000, message: 'missing trie node' }
    throw new RpcRequestError({ body: {}, error, url: 'http://pruned' })
  },
} as unknown as Client

describe('what an endpoint says of a contract’s past', () => {
  it('is a count of 32 bits and a word, of an address without code none', async () => {
    assert.equal(await contractLogCount(answering(word('1f')), CONTRACT, BLOCK), 31)
    assert.equal(await contractLogCount(answering('0x'), CONTRACT, BLOCK), 0)
    const found = await contractCommitteeWord(answering(word('2')), CONTRACT, BLOCK)
    assert.deepEqual(found, new Uint8Array(32).with(31, 2))
    const none = await contractCommitteeWord(answering('0x'), CONTRACT, BLOCK)
    assert.deepEqual(none, new Uint8Array(32))
  })

  it('is nothing where the endpoint no longer has the block’s state', async () => {
    assert.equal(await contractLogCount(refusing, CONTRACT, BLOCK), undefined)
    assert.equal(await contractCommitteeWord(refusing, CONTRACT, BLOCK), undefined)
  })

  for (const answer of ['0x1f', word('100000000'), word('zz'), `${word('1')}00`, 31, null]) {
    it(`is refused as a count: ${answer}`, async () => {
      const counted = contractLogCount(answering(answer), CONTRACT, BLOCK)
      await assert.rejects(counted, { code: 'badRpc' })
    })
  }

  for (const answer of ['0x02', word('zz'), `${word('1')}00`, 2, null]) {
    it(`is refused as a word: ${answer}`, async () => {
      const asked = contractCommitteeWord(answering(answer), CONTRACT, BLOCK)
      await assert.rejects(asked, { code: 'badRpc' })
    })
  }
})
