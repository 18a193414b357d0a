import { strict as assert } from 'node:assert'
import {
  type EpochLine,
  type Summary,
  shortEpochText,
  simulate,
  summaryText,
  totals,
} from '@cairn/testnet'

const NONE = { pass: 0, fail: 0, inconclusive: 0 }

function line(change: Partial<EpochLine>): EpochLine {
  return {
    epoch: 0,
    round: 0,
    root: 'ab'.repeat(32),
    transaction: '0x01',
    gasUsed: 200_000,
    messages: 3,
    attestations: { storage: 0, coverage: 0 },
    verdicts: { storage: NONE, coverage: NONE },
    emission: '1000',
    fees: '0',
    payouts: '0',
    burned: '0',
    unminted: '1000',
    ...change,
  }
}

describe('for people', () => {
  const summary: Summary = {
    nodes: 8,
    checkpointsAccepted: 2,
    ...totals([line({ gasUsed: 7, burned: String(25n * 10n ** 17n) }), line({ gasUsed: 5 })]),
    inclusionVerifiedOnChain: true,
    inclusionVerifiedOffline: true,
    payoutsClaimed: true,
    k: 2,
    n: 4,
    shards: 11,
    repairs: 0,
    bytesServed: 33_554_432,
    fileRetrievedIdentical: true,
    firstCheckpointMs: 25_449,
    payoutsSumExact: true,
  }

  it('a summary is a fact a line', () => {
    assert.equal(
      summaryText(summary),
      [
        'checkpoints   2 accepted of 8 nodes, the first after 25.4 s',
        'storage       0 attestations   0 pass 0 fail 0 inconclusive',
        'coverage      0 attestations   0 pass 0 fail 0 inconclusive',
        'gas           7, 5 per checkpoint',
        'burned        2.5 tokens of fees',
        'proofs        hold on the chain and offline',
        'payouts       claimed on the chain, all',
        'file          2 of 4, 11 deals, 0 repairs; fetched, identical',
        'served        33554432 bytes by receipts',
        'sums          exact, to the last unit',
      ].join('\n'),
    )
  })

  it('a summary says what went wrong', () => {
    const text = summaryText({
      ...summary,
      inclusionVerifiedOnChain: false,
      fileRetrievedIdentical: false,
      payoutsSumExact: false,
    })
    for (const said of ['hold offline\n', 'NOT fetched', 'NOT exact'])
      assert.ok(text.includes(said))
    const neither = { inclusionVerifiedOnChain: false, inclusionVerifiedOffline: false }
    assert.match(summaryText({ ...summary, ...neither }), /do NOT hold/)
  })

  it('an epoch in a frame names the verdicts that there were', () => {
    const verdicts = { storage: { pass: 12, fail: 0, inconclusive: 1 }, coverage: NONE }
    assert.equal(
      shortEpochText(line({ epoch: 3, verdicts, messages: 139, gasUsed: 230_275 })),
      'epoch 3      storage 12 pass 1 inconclusive   coverage none   139 messages   gas 230275',
    )
  })
})

describe('summary', () => {
  it('is empty of nothing', () => {
    assert.deepEqual(totals([]), {
      epochs: 0,
      attestations: { storage: 0, coverage: 0 },
      verdicts: { storage: NONE, coverage: NONE },
      burned: '0',
      gasPerCheckpoint: [],
    })
  })

  it('adds up each kind, each verdict, and what was burned without rounding', () => {
    const burned = String(2n ** 64n + 1n)
    const found = totals([
      line({
        attestations: { storage: 6, coverage: 1 },
        verdicts: {
          storage: { pass: 1, fail: 2, inconclusive: 3 },
          coverage: { pass: 4, fail: 0, inconclusive: 1 },
        },
        burned,
        gasUsed: 7,
      }),
      line({
        attestations: { storage: 1, coverage: 0 },
        verdicts: { storage: { pass: 1, fail: 0, inconclusive: 0 }, coverage: NONE },
        burned,
        gasUsed: 5,
      }),
    ])
    assert.deepEqual(found, {
      epochs: 2,
      attestations: { storage: 7, coverage: 1 },
      verdicts: {
        storage: { pass: 2, fail: 2, inconclusive: 3 },
        coverage: { pass: 4, fail: 0, inconclusive: 1 },
      },
      burned: String(2n ** 65n + 2n),
      gasPerCheckpoint: [7, 5],
    })
  })

  it('tells an epoch as it was settled', async () => {
    const lines: EpochLine[] = []
    const { verdicts, attestations } = await simulate(
      { nodes: 4, epochs: 2, seed: 3, providers: 2, gateways: 2 },
      found => lines.push(found),
    )
    assert.deepEqual(
      lines.map(({ epoch }) => epoch),
      [0, 1],
    )
    for (const { emission, fees, payouts, burned, unminted, messages, ...one } of lines) {
      const [given, taken] = [
        [emission, fees],
        [payouts, burned, unminted],
      ].map(parts => (parts as string[]).reduce((sum, part) => sum + BigInt(part), 0n))
      assert.equal(given, taken, 'payouts + burned + unminted = emission + fees')
      assert.ok(messages >= one.attestations.storage + one.attestations.coverage)
      assert.equal(one.verdicts.storage.pass, 2, 'both providers answer')
    }
    assert.deepEqual([verdicts, attestations], [totals(lines).verdicts, totals(lines).attestations])
  })
})
