import { strict as assert } from 'node:assert'
import { CairnError, check, invariant } from '@cairn/protocol'

describe('errors', () => {
  it('carry a code, the facts, the cause and what to do next', () => {
    const cause = new Error('disk full')
    const error = new CairnError('cannotStore', 'expected room for 4 bytes, found 0', {
      facts: { wanted: 4, found: 0 },
      cause,
      next: 'free some space',
    })
    assert.ok(error instanceof Error)
    assert.equal(error.name, 'CairnError')
    assert.equal(error.code, 'cannotStore')
    assert.equal(error.message, 'expected room for 4 bytes, found 0')
    assert.deepEqual(error.facts, { wanted: 4, found: 0 })
    assert.equal(error.cause, cause)
    assert.equal(error.next, 'free some space')
  })

  it('have no facts, cause or advice unless given', () => {
    const error = new CairnError('bad', 'bad')
    assert.deepEqual(error.facts, {})
    assert.equal('cause' in error, false)
    assert.equal(error.next, undefined)
  })

  it('are thrown by a check that does not hold, and only then', () => {
    check(true, 'bad', 'never')
    assert.throws(() => check(false, 'bad', 'found 1', { facts: { found: 1 } }), {
      name: 'CairnError',
      code: 'bad',
      message: 'found 1',
      facts: { found: 1 },
    })
  })

  it('of the program itself carry no code', () => {
    invariant(true, 'never')
    assert.throws(
      () => invariant(false, 'sums agree'),
      (error: Error) =>
        !(error instanceof CairnError) && error.message === 'broken invariant: sums agree',
    )
  })
})
