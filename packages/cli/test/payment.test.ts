import { strict as assert } from 'node:assert'
import { CairnError } from '@cairn/protocol'
import { payOnce } from '../src/payment.ts'

const { signal } = new AbortController()

describe('a payment', () => {
  const failing = (code: string, under: { reference?: string; signal?: AbortSignal } = {}) => {
    const given: string[] = []
    const paying = payOnce({ signal, ...under }, async reference => {
      given.push(reference)
      throw new CairnError(code, 'no', { facts: { nonce: 3 }, next: 'do this' })
    })
    return { paying, given }
  }

  for (const code of ['chainUnavailable', 'connectionLost', 'internal']) {
    it(`names the reference to run it again with after ${code}`, async () => {
      const { paying, given } = failing(code)
      const [reference] = given as [string]
      await assert.rejects(paying, (error: CairnError) => {
        assert.deepEqual([error.code, error.facts], [code, { nonce: 3, reference }])
        assert.match(error.next ?? '', new RegExp(`--reference ${reference}:`))
        return true
      })
    })
  }

  it('names it after Ctrl-C too, when the daemon goes on', async () => {
    const stopping = new AbortController()
    stopping.abort(new CairnError('interrupted', 'stopped before it was done'))
    const { paying } = failing('other', { reference: 'rent', signal: stopping.signal })
    await assert.rejects(paying, { code: 'interrupted', facts: { reference: 'rent' } })
  })

  it('passes on as it is what says that nothing was paid', async () => {
    await assert.rejects(failing('noTokens').paying, { code: 'noTokens', next: 'do this' })
  })

  it('has a new reference each time, unless one is given', async () => {
    const references = await Promise.all(
      [undefined, undefined, 'rent'].map(reference =>
        payOnce({ reference, signal }, async it => it),
      ),
    )
    assert.equal(new Set(references).size, 3)
    assert.equal(references[2], 'rent')
    for (const reference of references) assert.match(reference, /^[A-Za-z0-9._-]{1,64}$/)
  })
})
