import { strict as assert } from 'node:assert'
import { decodePieceList, encodeLink, PieceList, parseLink } from '@cairn/node'
import { CairnError } from '@cairn/protocol'
import fc from 'fast-check'

const list = { root: new Uint8Array(32).fill(5), payload: 1_000 }
const LINK = 'cairn:AQAFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBegDAAA'

describe('link', () => {
  it('has a known text', () => {
    assert.equal(encodeLink(list), LINK)
    assert.deepEqual(parseLink(LINK), list)
  })

  it('refuses anything else with a code', () => {
    const bytes = Buffer.from(LINK.slice(6), 'base64url')
    const changed = (at: number, value: number) => {
      const copy = Uint8Array.from(bytes)
      copy[at] = value
      return `cairn:${Buffer.from(copy).toString('base64url')}`
    }
    const cases = ['', 'cairn:', LINK.slice(6), LINK.slice(0, -1), `${LINK}A`, `${LINK}=`]
    for (const text of [...cases, `${LINK} `, LINK.replace('A', '+'), changed(0, 0)]) {
      assert.throws(() => parseLink(text), { code: 'badLink' }, text)
    }
    assert.throws(() => parseLink(changed(1, 1)), { code: 'badLink' })
    assert.throws(() => parseLink(changed(0, 2)), { code: 'newerLink' })
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

describe('list of pieces', () => {
  it('has known bytes', () => {
    const bytes = PieceList.serialize({ bytes: 1_000n, pieces: [list] })
    const hex = Buffer.from(bytes).toString('hex')
    assert.equal(hex, `e8030000000000000c000000${'05'.repeat(32)}e8030000`)
    assert.deepEqual(decodePieceList(bytes), { bytes: 1_000n, pieces: [list] })
  })

  it('is not one when the length is not the sum of its pieces', () => {
    const bytes = PieceList.serialize({ bytes: 999n, pieces: [list] })
    assert.throws(() => decodePieceList(bytes), { code: 'badPieceList' })
  })

  it('refuses hostile bytes with a code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), bytes => {
        try {
          decodePieceList(bytes)
        } catch (error) {
          assert.equal((error as CairnError).code, 'badPieceList')
        }
      }),
    )
  })
})
