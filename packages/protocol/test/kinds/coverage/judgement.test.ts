import { strict as assert } from 'node:assert'
import {
  ABSENT_FTIME,
  ABSENT_LEVEL,
  ABSENT_TMMS,
  type Emission,
  encodeLevel,
  type Finding,
  type HeardFrame,
  judgeAll,
  judgeClose,
  judgeCommit,
  judgeFar,
  judgeFrame,
  judgeLoud,
  judgeNoise,
  judgeOpening,
  judgeOperator,
  judgeSelf,
  judgeSnr,
  type Link,
} from '@cairn/protocol'

const link: Link = {
  distance: 5_000,
  slack: 0,
  loss: 1_050,
  sent: 180,
  sensitivity: -1_300,
  snrLimit: -125,
}
const sent: Emission = {
  payload: new Uint8Array(25).fill(0xe0),
  frequency: 868_100_000,
  spreadingFactor: 9,
  bandwidth: 125,
  power: 160,
}
const heard: HeardFrame = {
  payload: sent.payload,
  frequency: sent.frequency,
  spreadingFactor: 9,
  bandwidth: 125,
  rssi: encodeLevel(-1_000),
  rssis: ABSENT_LEVEL,
  snr: encodeLevel(50),
  tmst: 0,
  ftime: ABSENT_FTIME,
  tmms: ABSENT_TMMS,
}
const level = (rssis: number) => ({ ...heard, rssis: encodeLevel(rssis) })
const snr = (value: number) => ({ ...heard, snr: encodeLevel(value) })
/** A signal as strong as the noise, so that the noise is the level. */
const noise = (value: number) => ({ ...level(value), snr: encodeLevel(0) })
const operator = new Uint8Array(20)

/** Each rule on both sides of its bound. */
const cases: [string, Finding, Finding][] = [
  ['self', judgeSelf(1, 2), judgeSelf(1, 1)],
  [
    'sameOperator',
    judgeOperator(
      operator,
      operator.map(() => 1),
    ),
    judgeOperator(operator, operator),
  ],
  ['lateCommit', judgeCommit(5, 8), judgeCommit(4, 8)],
  ['lateCommit', judgeCommit(1, 1), judgeCommit(0, 1)],
  ['lateCommit', judgeOpening(1, true), judgeOpening(1, false)],
  ['lateCommit', judgeOpening(1, true), judgeOpening(2, true)],
  ['wrongFrame', judgeFrame(heard, sent), judgeFrame({ ...heard, spreadingFactor: 8 }, sent)],
  ['wrongFrame', judgeFrame(heard, sent), judgeFrame({ ...heard, bandwidth: 250 }, sent)],
  [
    'wrongFrame',
    judgeFrame(heard, sent),
    judgeFrame({ ...heard, payload: new Uint8Array(25) }, sent),
  ],
  [
    'wrongFrame',
    judgeFrame({ ...heard, frequency: sent.frequency + 31_250 }, sent),
    judgeFrame({ ...heard, frequency: sent.frequency + 31_251 }, sent),
  ],
  [
    'wrongFrame',
    judgeFrame({ ...heard, frequency: sent.frequency - 31_250 }, sent),
    judgeFrame({ ...heard, frequency: sent.frequency - 31_251 }, sent),
  ],
  ['tooClose', judgeClose({ ...link, distance: 300 }), judgeClose({ ...link, distance: 299 })],
  [
    'tooClose',
    judgeClose({ ...link, distance: 216, slack: 84 }),
    judgeClose({ ...link, distance: 215, slack: 84 }),
  ],
  ['tooFar', judgeFar({ ...link, distance: 100_000 }), judgeFar({ ...link, distance: 100_001 })],
  [
    'tooFar',
    judgeFar({ ...link, distance: 100_084, slack: 84 }),
    judgeFar({ ...link, distance: 100_085, slack: 84 }),
  ],
  ['tooFar', judgeFar({ ...link, loss: 1_480 }), judgeFar({ ...link, loss: 1_481 })],
  ['tooLoud', judgeLoud(level(-770), link), judgeLoud(level(-769), link)],
  ['belowDemodulation', judgeSnr(snr(-165), link), judgeSnr(snr(-166), link)],
  ['noiseMismatch', judgeNoise(noise(-1_000), undefined), judgeNoise(noise(-999), undefined)],
  ['noiseMismatch', judgeNoise(noise(-1_250), undefined), judgeNoise(noise(-1_251), undefined)],
  ['noiseMismatch', judgeNoise(noise(-1_080), -1_200), judgeNoise(noise(-1_079), -1_200)],
]

describe('rules of a witness', () => {
  for (const [reason, passed, failed] of cases) {
    it(`${reason}: ${JSON.stringify(failed.facts)}`, () => {
      assert.deepEqual([passed.reason, passed.outcome], [reason, 'passed'])
      assert.deepEqual([failed.reason, failed.outcome], [reason, 'failed'])
    })
  }

  it('takes the level with noise, less the noise, where the signal alone is not given', () => {
    const loud = { ...heard, rssi: encodeLevel(-765), snr: encodeLevel(0) }
    assert.equal(judgeLoud(loud, link).facts.level, -795)
    assert.equal(judgeLoud(loud, link).outcome, 'passed')
  })

  it('does not judge by levels that were not given', () => {
    assert.equal(judgeLoud({ ...heard, rssi: ABSENT_LEVEL }, link).outcome, 'notJudged')
    assert.equal(judgeLoud({ ...heard, snr: ABSENT_LEVEL }, link).outcome, 'notJudged')
    assert.equal(judgeSnr({ ...heard, snr: ABSENT_LEVEL }, link).outcome, 'notJudged')
    assert.equal(judgeNoise({ ...heard, snr: ABSENT_LEVEL }, -1_200).outcome, 'notJudged')
    // Above 5 dB the estimate of the SNR saturates.
    assert.equal(judgeNoise({ ...noise(0), snr: encodeLevel(51) }, undefined).outcome, 'notJudged')
  })
})

describe('a sequence of rules', () => {
  const notJudged = () => judgeSnr({ ...heard, snr: ABSENT_LEVEL }, link)

  it('ends with the first that fails and keeps the numbers up to it', () => {
    const { reason, facts } = judgeAll([
      () => judgeCommit(5, 8),
      () => judgeClose({ ...link, distance: 10 }),
      () => assert.fail('asked after a failure'),
    ])
    assert.equal(reason, 'tooClose')
    assert.deepEqual(facts, {
      commitHeldBy: 5,
      assigned: 8,
      distance: 10,
      slack: 0,
      closeLimit: 300,
    })
  })

  it('never fails by a rule that was not judged, and names it', () => {
    const { reason, facts } = judgeAll([notJudged, () => judgeClose(link)])
    assert.equal(reason, 'ok')
    assert.equal(facts.notJudged, 'belowDemodulation')
  })
})
