import { strict as assert } from 'node:assert'
import { type EpochLine, simulate, totals } from '@cairn/testnet'

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
