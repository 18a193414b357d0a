import { strict as assert } from 'node:assert'
import {
  checkProfile,
  type Facts,
  PPM,
  type Profile,
  PUBLIC_PROFILE,
  TESTNET_PROFILE,
  unitsGiven,
  unitsText,
} from '@cairn/protocol'
import fc from 'fast-check'

interface Refusal {
  title: string
  change: Partial<Profile>
  facts: Facts
}

const refusals: Refusal[] = [
  {
    title: 'reports that come after the attestations',
    change: { coverageReveal: [1, 5] },
    facts: { sum: 11, attestUntilSlot: 10 },
  },
  {
    title: 'a report step that does not fit after the last reveal',
    change: { reportStep: 5 },
    facts: { sum: 11, attestUntilSlot: 10 },
  },
  {
    title: 'a last storage reveal that nobody can attest any more',
    change: { storageReveal: [1, 10] },
    facts: { sum: 11, attestUntilSlot: 10 },
  },
  {
    title: 'seals before the attestations are over',
    change: { sealSlot: 10 },
    facts: { attestUntilSlot: 10, sealSlot: 10, slotsPerEpoch: 12 },
  },
  {
    title: 'seals after the freeze',
    change: { sealSlot: 12 },
    facts: { attestUntilSlot: 10, sealSlot: 12, slotsPerEpoch: 12 },
  },
  {
    title: 'storage reveals in slot 0, where the seed is not known',
    change: { storageReveal: [0, 7] },
    facts: { first: 0, last: 7 },
  },
  {
    title: 'coverage reveals in slot 0',
    change: { coverageReveal: [0, 4] },
    facts: { first: 0, last: 4 },
  },
  {
    title: 'reveal slots that end before they begin',
    change: { storageReveal: [5, 4] },
    facts: { first: 5, last: 4 },
  },
  {
    title: 'an epoch that is no whole number of seconds',
    change: { slotMs: 999 },
    facts: { ms: 11_988 },
  },
  { title: 'a base inside of its epoch', change: { lookback: 0 }, facts: { lookback: 0 } },
  {
    title: 'nonces revealed before they are committed to',
    change: { commitStep: 3 },
    facts: { transmitStep: 1, commitStep: 3, revealStep: 3, reportStep: 4 },
  },
  {
    title: 'more than the whole emission for votes and submission',
    change: { voteShare: 600_000n, submitReward: 400_001n },
    facts: { sum: 1_000_001n, voteShare: 600_000n, submitReward: 400_001n },
  },
  {
    title: 'negative shares',
    change: { voteShare: -1n },
    facts: { sum: 9_999n, voteShare: -1n, submitReward: 10_000n },
  },
  {
    title: 'a base share above all',
    change: { baseShare: PPM + 1n },
    facts: { baseShare: PPM + 1n },
  },
  {
    title: 'a duty share above all',
    change: { dutyShare: PPM + 1n },
    facts: { dutyShare: PPM + 1n },
  },
  { title: 'burning more than a fee', change: { feeBurn: PPM + 1n }, facts: { feeBurn: PPM + 1n } },
  {
    title: 'emission beyond the fees burned, which dealing with oneself would gain from',
    change: { burnMatch: PPM + 1n },
    facts: { burnMatch: PPM + 1n },
  },
  {
    title: 'more debts per challenge than a proof has room for',
    change: { debtsPerChallenge: 201 },
    facts: { debtsPerChallenge: 201, max: 200 },
  },
  {
    title: 'debts that are never asked again',
    change: { debtsPerChallenge: 0 },
    facts: { debtsPerChallenge: 0, max: 200 },
  },
  { title: 'bytes served for nothing', change: { servedPrice: 0n }, facts: { servedPrice: 0n } },
  { title: 'packets for nothing', change: { packetPrice: 0n }, facts: { packetPrice: 0n } },
  {
    title: 'paid service that no number of parts holds',
    change: { anchorEpochs: 50 },
    facts: { anchorEpochs: 50 },
  },
  {
    title: 'states kept for less than a term is drawn by',
    change: { retainEpochs: 13 },
    facts: { sum: 14, retainEpochs: 13 },
  },
  { title: 'receipts for nothing', change: { receiptBytes: 0 }, facts: { receiptBytes: 0 } },
  {
    title: 'no time to answer a debt',
    change: { repairAfterEpochs: 0 },
    facts: { repairAfterEpochs: 0 },
  },
  {
    title: 'a score that grows by withholding',
    change: { withheldWeight: -1 },
    facts: { withheldWeight: -1 },
  },
]

describe('profile', () => {
  it('of public networks and of testnets fits together', () => {
    checkProfile(PUBLIC_PROFILE)
    checkProfile(TESTNET_PROFILE)
  })

  it('has the values of the table of constants', () => {
    const both = [PUBLIC_PROFILE, TESTNET_PROFILE]
    const row = <K extends keyof Profile>(field: K) => both.map(profile => profile[field])
    assert.deepEqual(row('lookback'), [2, 1])
    assert.deepEqual(row('storageReveal'), [
      [1, 39],
      [1, 7],
    ])
    assert.deepEqual(row('coverageReveal'), [
      [1, 36],
      [1, 4],
    ])
    assert.deepEqual(row('attestUntilSlot'), [50, 10])
    assert.deepEqual(row('sealSlot'), [51, 11])
    assert.deepEqual(row('idleEpochs'), [12, 6])
    assert.deepEqual(row('termEpochs'), [24, 12])
    assert.deepEqual(row('activationEpochs'), [1, 0])
    assert.deepEqual(row('debtsPerChallenge'), [200, 200])
    assert.deepEqual(row('repairAfterEpochs'), [24, 3])
    assert.deepEqual(row('dutyShare'), [100_000n, 100_000n])
    assert.deepEqual(row('baseShare'), [300_000n, 300_000n])
    assert.deepEqual(row('emission'), [10n ** 21n, 10n ** 21n])
  })

  for (const { title, change, facts } of refusals) {
    it(`is refused for ${title}, with the numbers that do not fit`, () => {
      assert.throws(
        () => checkProfile({ ...TESTNET_PROFILE, ...change }),
        (error: { code?: string; facts?: Facts; next?: string }) => {
          assert.equal(error.code, 'badProfile')
          assert.deepEqual(error.facts, facts)
          assert.match(error.next ?? '', /manifest/)
          return true
        },
      )
    })
  }

  it('may use every slot that fits, to the last', () => {
    checkProfile({ ...TESTNET_PROFILE, storageReveal: [1, 9], coverageReveal: [4, 4] })
    checkProfile({ ...TESTNET_PROFILE, voteShare: 0n, submitReward: PPM, burnMatch: 0n })
    checkProfile({ ...TESTNET_PROFILE, debtsPerChallenge: 1, repairAfterEpochs: 1 })
    checkProfile({ ...TESTNET_PROFILE, withheldWeight: 0 })
  })
})

describe('an amount', () => {
  it('is read back as it was written, to the last unit', () => {
    const most = 10n ** 36n - 1n
    fc.assert(
      fc.property(fc.bigInt(0n, most), units => {
        assert.equal(unitsGiven(unitsText(units)), units)
      }),
      { verbose: true },
    )
    assert.equal(unitsGiven(unitsText(most)), most)
  })

  it('has at most 18 digits on either side of the point, and nothing but digits', () => {
    for (const text of [
      '',
      '.5',
      '5.',
      '-1',
      '1e3',
      '1,5',
      ' 1',
      '1'.repeat(19),
      `0.${'1'.repeat(19)}`,
    ]) {
      assert.equal(unitsGiven(text), undefined, text)
    }
    assert.equal(unitsGiven('12.5'), 125n * 10n ** 17n)
  })
})
