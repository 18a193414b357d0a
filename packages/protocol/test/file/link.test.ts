import { strict as assert } from 'node:assert'
import { CairnError, encodeLink, parseLink } from '@cairn/protocol'
import fc from 'fast-check'

const link = {
  manifest: { root: new Uint8Array(32).fill(5), payload: 1_000 },
  entry: 3,
  key: new Uint8Array(32).fill(9),
}
const LINK =
  'cairn:AgUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF6AMAAAMAAAAJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQ'
const V1 = 'cairn:AQAFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBegDAAA'

describe('link', () => {
  it('has a known text', () => {
    assert.equal(encodeLink(link), LINK)
    assert.deepEqual(parseLink(LINK), link)
  })

  it('reads what it wrote', () => {
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const u32 = fc.nat({ max: 2 ** 32 - 1 })
    fc.assert(
      fc.property(bytes32, u32, u32, bytes32, (root, payload, entry, key) => {
        const value = { manifest: { root, payload }, entry, key }
        assert.deepEqual(parseLink(encodeLink(value)), value)
      }),
    )
  })

  it('refuses anything else with a code', () => {
    const bytes = Buffer.from(LINK.slice(6), 'base64url')
    const changed = (at: number, value: number) => {
      const copy = Uint8Array.from(bytes)
      copy[at] = value
      return `cairn:${Buffer.from(copy).toString('base64url')}`
    }
    const cases = ['', 'cairn:', LINK.slice(6), LINK.slice(0, -1), `${LINK}A`, `${LINK}=`]
    cases.push(`${LINK} `, LINK.replace('A', '+'), changed(0, 0), `${LINK}${'A'.repeat(1_000)}`)
    // The last character carries four bits that are no part of the bytes.
    cases.push(`${LINK.slice(0, -1)}${LINK.endsWith('B') ? 'C' : 'B'}`)
    for (const text of cases) assert.throws(() => parseLink(text), { code: 'badLink' }, text)
    assert.throws(() => parseLink(V1), { code: 'oldLink' })
    assert.throws(() => parseLink(changed(0, 3)), { code: 'newerLink' })
    fc.assert(
      fc.property(fc.string(), text => {
        assert.throws(
          () => parseLink(`cairn:${text}`),
          error => error instanceof CairnError,
        )
      }),
    )
  })
})
