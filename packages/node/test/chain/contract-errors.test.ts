import { strict as assert } from 'node:assert'
import { encodeErrorResult, RpcRequestError } from 'viem'
import { CONTRACT_ERRORS, REFUSALS, refusedIn } from '../../src/chain/contract-errors.ts'

const answered = (data: string) =>
  new RpcRequestError({
    body: {},
    url: 'http://127.0.0.1',
    error: { code: 3, message: 'execution reverted', data },
  })

describe('what a contract’s refusal means', () => {
  it('is said of every error of every contract, with a next step, and of no other', () => {
    const names = [...new Set(CONTRACT_ERRORS.map(({ name }) => name))].sort()
    assert.deepEqual(
      Object.keys(REFUSALS).sort(),
      names,
      'give the error its words in packages/node/src/chain/contract-errors.ts',
    )
    for (const [name, { text, next }] of Object.entries(REFUSALS)) {
      assert.ok(text.length > 10 && next.length > 10, name)
      assert.ok(!text.includes(name), `${name} in the words of people`)
    }
  })

  it('has the error’s name and its arguments by theirs among the facts', () => {
    const data = encodeErrorResult({
      abi: CONTRACT_ERRORS,
      errorName: 'TooSoon',
      args: [`0x${Buffer.from('baseShare').toString('hex').padEnd(64, '0')}`, 77n],
    })
    const refused = refusedIn(answered(data))
    assert.equal(refused?.text, REFUSALS.TooSoon?.text)
    assert.deepEqual(refused?.facts, { error: 'TooSoon', name: 'baseShare', due: 77n })
  })

  it('is left open where the answer has no error of these', () => {
    assert.equal(refusedIn(answered('0x')), undefined)
    assert.equal(refusedIn(answered('0x12345678')), undefined)
    assert.equal(refusedIn(new Error('no answer')), undefined)
  })
})
