import { strict as assert } from 'node:assert'
import {
  COMMON_MIN,
  judgeAntennas,
  OUTER_MAX,
  SPREAD_MAX,
} from '../../../../src/kinds/coverage/graph/antenna.ts'
import type { Tie } from '../../../../src/kinds/coverage/graph/links.ts'

/** Receivers have numbers from here on. */
const RECEIVERS = 1_000

const all = (_node: number) => true

/** How each node is heard: loss by receiver, absent where it is not. */
function tiesOf(
  nodes: Readonly<Record<number, readonly (number | undefined)[]>>,
  spreading: (node: number, at: number) => number = () => 700,
) {
  return new Map<number, Tie[]>(
    Object.entries(nodes).map(([node, losses]) => [
      Number(node),
      losses.flatMap((loss, at) => {
        if (loss === undefined) return []
        const heardBy = { heard: 2, measured: 2, loss: 2 * loss }
        const hears = { heard: 0, measured: 0, loss: 0 }
        return [{ peer: RECEIVERS + at, spreading: spreading(Number(node), at), hears, heardBy }]
      }),
    ]),
  )
}

/** Losses at so many receivers, the same for whoever is asked, plus a number. */
function losses(count: number, plus: (at: number) => number = () => 0): number[] {
  return Array.from({ length: count }, (_, at) => 1_000 + ((at * 37) % 200) + plus(at))
}

/** Half of the differences up by this, half down: their median distance from their median. */
const spreadBy = (tenths: number) => (at: number) => (at % 2 === 0 ? tenths : -tenths)

function judge(ties: ReturnType<typeof tiesOf>, fits = all, scatters = all) {
  return judgeAntennas({ ties, fits, scatters })
}

function firstOf(ties: ReturnType<typeof tiesOf>, node: number, fits = all) {
  return judge(ties, fits).get(node)?.first
}

describe('identities on one antenna', () => {
  it('are found by losses that differ by one number at all receivers, whatever the number', () => {
    const ties = tiesOf({ 1: losses(20), 2: losses(20, () => 70), 3: losses(20, () => -30) })
    const found = judge(ties)
    assert.deepEqual(found.get(1), { first: 1, shared: 3 })
    assert.deepEqual(found.get(2), {
      first: 1,
      shared: 3,
      likeness: { median: 70, spread: 0, outer: 0, apart: 0, common: 20 },
    })
    assert.equal(found.get(3)?.likeness?.median, -30)
  })

  it('may scatter by 1.5 dB and no more', () => {
    const scattered = (tenths: number) =>
      tiesOf({ 1: losses(21), 2: losses(21, at => (at === 0 ? 0 : spreadBy(tenths)(at))) })
    assert.equal(SPREAD_MAX, 15)
    assert.equal(firstOf(scattered(15), 2), 1)
    assert.equal(judge(scattered(15)).get(2)?.likeness?.spread, 15)
    assert.equal(firstOf(scattered(16), 2), 2)
  })

  it('need eight receivers that heard both', () => {
    assert.equal(COMMON_MIN, 8)
    assert.equal(firstOf(tiesOf({ 1: losses(8), 2: losses(8) }), 2), 1)
    assert.equal(firstOf(tiesOf({ 1: losses(7), 2: losses(7) }), 2), 2)
    const unbelieved = (node: number) => node !== RECEIVERS
    assert.equal(firstOf(tiesOf({ 1: losses(8), 2: losses(8) }), 2, unbelieved), 2)
  })

  it('need seven in eight within 3 dB where fewer than 32 receivers heard both', () => {
    const tailed = (count: number, out: number, tenths: number) =>
      tiesOf({ 1: losses(count), 2: losses(count, at => (at < out ? tenths : 0)) })
    assert.equal(OUTER_MAX, 30)
    // Of 31 the 27th counts, so 5 beyond it are too many.
    assert.equal(firstOf(tailed(31, 4, 31), 2), 1)
    assert.equal(firstOf(tailed(31, 5, 30), 2), 1)
    assert.equal(judge(tailed(31, 5, 30)).get(2)?.likeness?.outer, 30)
    assert.equal(firstOf(tailed(31, 5, 31), 2), 2)
    assert.equal(firstOf(tailed(32, 12, 200), 2), 1)
  })

  it('need half of the receivers of each: a few accomplices cannot stand for the rest', () => {
    const few = losses(8)
    assert.equal(firstOf(tiesOf({ 1: losses(16), 2: few }), 2), 1)
    assert.equal(firstOf(tiesOf({ 1: losses(17), 2: few }), 2), 2)
  })

  it('are two where their places explain more than 0.2 dB of what little they differ by', () => {
    const scattered = { 1: losses(21), 2: losses(21, at => (at === 0 ? 0 : spreadBy(10)(at))) }
    const placed = (tenths: number) =>
      tiesOf(scattered, (node, at) => {
        return node === 1 || at === 0 ? 700 : 700 + spreadBy(tenths)(at)
      })
    assert.equal(judge(placed(2)).get(2)?.likeness?.apart, 8)
    assert.equal(firstOf(placed(2), 2), 1)
    assert.equal(firstOf(placed(3), 2), 2)
    // Places that would make them differ more than they do are not theirs.
    assert.equal(firstOf(placed(-40), 2), 1)
  })

  it('are not looked for where nothing casts shadows', () => {
    const ties = tiesOf({ 1: losses(20), 2: losses(20) })
    assert.equal(judge(ties, all, node => node !== 2).get(2)?.first, 2)
    assert.equal(judge(ties, all, node => node !== 1).get(2)?.first, 2)
  })

  it('are not compared with antennas that are loudest elsewhere', () => {
    const far = losses(30).map((loss, at) => (at < 15 ? loss : loss + 500))
    const near = losses(30).map((loss, at) => (at < 15 ? loss + 500 : loss))
    assert.equal(firstOf(tiesOf({ 1: far, 2: near }), 2), 2)
  })

  it('join the one that they are most alike', () => {
    const ties = tiesOf({
      1: losses(21, at => (at === 0 ? 0 : spreadBy(14)(at))),
      2: losses(21, at => (at === 0 ? 0 : spreadBy(-4)(at))),
      3: losses(21),
    })
    const found = judge(ties)
    assert.deepEqual(
      [1, 2, 3].map(node => found.get(node)?.first),
      [1, 2, 2],
    )
    assert.equal(found.get(1)?.shared, 1)
    assert.equal(found.get(2)?.shared, 2)
  })

  it('leave a node alone that nobody heard', () => {
    assert.deepEqual(judge(new Map([[5, []]])).get(5), { first: 5, shared: 1 })
  })
})
