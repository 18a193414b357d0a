import { strict as assert } from 'node:assert'
import { deployedAt } from '@cairn/contracts'
import { parseFounding } from '@cairn/node'
import { CairnError, TESTNET_PROFILE, TOKEN } from '@cairn/protocol'
import { settingsOf } from './settings.ts'

const HOLDER = `0x${'7b'.repeat(20)}`
/** Of EIP-55. */
const MIXED = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'

function refusalOf(change: object | string): CairnError {
  try {
    parseFounding(typeof change === 'string' ? change : settingsOf(change))
  } catch (error) {
    assert.ok(error instanceof CairnError, String(error))
    assert.ok(error.next !== undefined || error.code === 'badProfile', 'says what to do')
    return error
  }
  throw new assert.AssertionError({ message: 'the settings were accepted' })
}

describe('the settings of a network', () => {
  it('give what follows from the profile, and what nobody named', () => {
    const { parameters, grants } = parseFounding(settingsOf())
    const { slotMs, slotsPerEpoch, emission, bondMinimum } = TESTNET_PROFILE
    const epoch = BigInt((slotMs * slotsPerEpoch) / 1_000)
    const perDay = (emission * 86_400n) / epoch
    assert.equal(parameters.supply, 40_000_000n * TOKEN)
    assert.deepEqual(grants, [{ account: HOLDER, amount: parameters.supply }])
    assert.equal(parameters.yearlyCap, 365n * perDay)
    assert.equal(parameters.outflowMax, 2n * perDay)
    assert.equal(parameters.operatorMinimum, 10n * bondMinimum)
    assert.equal(parameters.proposalThreshold, parameters.supply / 1_000n)
    assert.equal(parameters.timelockDelay, 2n * 86_400n)
  })

  it('make a manifest for wherever the contracts stand', () => {
    const contracts = deployedAt(MIXED, 7)
    const { chain, name } = parseFounding(settingsOf()).manifest({ contracts, fromBlock: 12 })
    assert.deepEqual([name, chain.contracts, chain.fromBlock], ['founded', contracts, 12])
  })

  it('take amounts to the last unit, and no others', () => {
    const supplyOf = (tokens: string) =>
      parseFounding(
        settingsOf({ supply: [{ account: HOLDER, tokens }], bonds: { operatorMinimum: '1' } }),
      ).parameters.supply
    assert.equal(supplyOf('1.000000000000000001'), TOKEN + 1n)
    assert.equal(supplyOf('999999999999999'), 999_999_999_999_999n * TOKEN)
    for (const tokens of ['1000000000000000', '1.0000000000000000001', '1e3', '-1', '', '0x10']) {
      const error = refusalOf({ supply: [{ account: HOLDER, tokens }] })
      assert.deepEqual([error.code, error.facts.path], ['badFounding', 'supply.0.tokens'], tokens)
    }
  })

  it('take an account whose capitals are right, and refuse one with a wrong digit', () => {
    for (const guardian of [MIXED, MIXED.toLowerCase()]) parseFounding(settingsOf({ guardian }))
    for (const guardian of [
      MIXED.replace('5aA', '5Aa'),
      MIXED.replace('BeAed', 'BeAee'),
      `0x${'00'.repeat(20)}`,
      MIXED.slice(0, -1),
    ]) {
      const error = refusalOf({ guardian })
      assert.deepEqual([error.code, error.facts.path], ['badFounding', 'guardian'], guardian)
    }
  })

  it('name the field that is wrong, also where it is a manifest’s', () => {
    const wrong: [string, object][] = [
      ['schema', { schema: 2 }],
      ['chainId', { chainId: 0 }],
      ['rpc', { rpc: [] }],
      ['supply', { supply: [] }],
      ['governance.quorum', { governance: { quorum: 1_000_001 } }],
      ['governance.votingPeriod', { governance: { votingPeriod: 0 } }],
      ['governance.timelockDelay', { governance: { timelockDelay: 60 * 86_400 + 1 } }],
      ['name', { name: 'Not A Name' }],
      ['chain.rpc.0', { rpc: ['ftp://example.org'] }],
      ['drand.publicKey', { drand: { publicKey: 'ab', genesis: 1, period: 1 } }],
      ['profile.name', { profile: { name: 'mine' } }],
    ]
    for (const [path, change] of wrong) {
      const { code, facts, message } = refusalOf(change)
      assert.deepEqual([code, facts.path], ['badFounding', path])
      assert.doesNotMatch(message, /manifest/)
    }
    assert.equal(refusalOf({ surprise: true }).code, 'badFounding')
  })

  it('refuse what is no settings at all', () => {
    assert.match(refusalOf('{').message, /not JSON/)
    assert.match(refusalOf(`"${'x'.repeat(64 * 1024)}"`).message, /too long/)
    assert.equal(refusalOf('null').code, 'badFounding')
  })

  it('refuse a network in which nobody could bond', () => {
    const supply = [{ account: HOLDER, tokens: '9.9' }]
    const { code, facts } = refusalOf({ supply, bonds: { operatorMinimum: '10' } })
    assert.deepEqual([code, facts.operatorMinimum], ['badFounding', 10n * TOKEN])
    parseFounding(settingsOf({ supply, bonds: { operatorMinimum: '9.9' } }))
  })

  it('refuse a parameter where no vote may go, and numbers that do not fit together', () => {
    const overrides = (fields: object) => ({ profile: { name: 'testnet', overrides: fields } })
    assert.equal(refusalOf(overrides({ feeBurn: '500001' })).code, 'badFounding')
    assert.equal(refusalOf(overrides({ slotMs: 1_001 })).code, 'badProfile')
  })
})
