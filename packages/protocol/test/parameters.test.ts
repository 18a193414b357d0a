import { strict as assert } from 'node:assert'
import {
  CONTRACT_NUMBERS,
  checkFounding,
  PARAMETERS,
  type ParameterChange,
  PPM,
  PUBLIC_PROFILE,
  parameterText,
  parseParameter,
  profileAt,
  TESTNET_PROFILE,
  TOKEN,
  withParameters,
} from '@cairn/protocol'
import fc from 'fast-check'

const founding = TESTNET_PROFILE
const change = (name: string, value: bigint, block: bigint): ParameterChange => ({
  name,
  value,
  block,
})
const valueWithin = fc
  .constantFrom(...PARAMETERS)
  .chain(({ name, limits }) =>
    fc.tuple(
      fc.constant(name),
      fc.bigInt({ min: limits(founding).least, max: limits(founding).most }),
    ),
  )

describe('parameters', () => {
  it('hold what both named profiles begin with within their bounds', () => {
    for (const profile of [PUBLIC_PROFILE, TESTNET_PROFILE]) {
      for (const { name, of, limits } of PARAMETERS) {
        const { least, most, step } = limits(profile)
        assert.ok(least <= of(profile) && of(profile) <= most, name)
        assert.ok(step > 0n, name)
      }
    }
  })

  it('are each set where they are read, and change nothing else', () => {
    for (const parameter of PARAMETERS) {
      const { least } = parameter.limits(founding)
      const changed = parameter.with(founding, least)
      assert.equal(parameter.of(changed), least)
      for (const other of PARAMETERS) {
        if (other !== parameter) assert.equal(other.of(changed), other.of(founding), other.name)
      }
      assert.deepEqual(parameter.with(changed, parameter.of(founding)), founding)
    }
  })

  it('fit together whatever they are within their bounds', () => {
    fc.assert(
      fc.property(fc.array(valueWithin, { maxLength: 20 }), values => {
        const changed = withParameters(founding, new Map(values), founding)
        for (const [name, value] of new Map(values)) {
          assert.equal(PARAMETERS.find(known => known.name === name)?.of(changed), value)
        }
      }),
    )
  })

  it('are refused one step beyond either bound, and under a name that is none', () => {
    const refused = { code: 'badParameter' }
    for (const { name, limits } of PARAMETERS) {
      const { least, most } = limits(founding)
      const set = (value: bigint) => withParameters(founding, new Map([[name, value]]), founding)
      assert.throws(() => set(least - 1n), refused)
      assert.throws(() => set(most + 1n), refused)
      set(least)
      set(most)
    }
    for (const name of ['', 'slotMs', 'weight.3', 'emission ']) {
      assert.throws(() => withParameters(founding, new Map([[name, 1n]]), founding), refused)
    }
  })

  it('are read as people write them, and written so', () => {
    assert.equal(parseParameter('baseShare', '0.4'), 400_000n)
    assert.equal(parseParameter('baseShare', '1'), PPM)
    assert.equal(parseParameter('servedPrice', '0.0015'), (3n * TOKEN) / 2_000n)
    assert.equal(parseParameter('weight.2', '2'), 2n)
    for (const [name, text] of [
      ['baseShare', '0.1234567'],
      ['baseShare', '40%'],
      ['weight.1', '1.5'],
      ['weight.1', '-1'],
      ['emission', '1e3'],
      ['emission', ''],
      ['emission', '9'.repeat(21)],
      ['nothing', '1'],
    ] as const) {
      assert.throws(() => parseParameter(name, text), { code: 'badParameter' }, `${name} ${text}`)
    }
    fc.assert(
      fc.property(valueWithin, ([name, value]) => {
        const unit = PARAMETERS.find(known => known.name === name)?.unit ?? 'weight'
        assert.equal(parseParameter(name, parameterText({ unit }, value)), value)
      }),
    )
  })
})

describe('numbers that contracts alone read', () => {
  it('are read as people write them, and change no profile', () => {
    assert.equal(parseParameter('placeFee', '2.5'), (5n * TOKEN) / 2n)
    assert.equal(parseParameter('reporterShare', '0.3'), 300_000n)
    for (const { name, begins, limits } of CONTRACT_NUMBERS) {
      const { least, most, step } = limits(founding)
      assert.ok(least <= begins && begins <= most && step <= most, name)
      const set = () => withParameters(founding, new Map([[name, begins]]), founding)
      assert.throws(set, { code: 'badParameter', message: /no epoch pays otherwise/ })
      assert.deepEqual(profileAt(founding, [change(name, least, 1n)]), founding)
    }
  })
})

describe('the profile of an epoch', () => {
  it('is the founding one while nothing was changed', () => {
    assert.equal(profileAt(founding, []), founding)
  })

  it('has the last value of each name', () => {
    const profile = profileAt(founding, [
      change('weight.2', 2n, 5n),
      change('feeBurn', 150_000n, 6n),
      change('weight.2', 5n, 9n),
    ])
    assert.deepEqual(profile, { ...founding, weights: { 1: 1, 2: 5 }, feeBurn: 150_000n })
  })

  it('passes over names that are none and values out of bounds, and takes up the rest', () => {
    const profile = profileAt(founding, [
      change('slotMs', 1n, 5n),
      change('placeFee', 7n, 5n),
      change('weight.1', 0n, 5n),
      change('feeBurn', PPM, 5n),
      change('feeBurn', 200_000n, 5n),
      change('baseShare', PPM + 1n, 8n),
    ])
    assert.deepEqual(profile, { ...founding, feeBurn: 200_000n })
  })

  it('is valid and the same for everybody whatever the chain was given', () => {
    const anything = fc.record({
      name: fc.oneof(fc.constantFrom(...PARAMETERS.map(({ name }) => name)), fc.string()),
      value: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
      block: fc.bigInt({ min: 0n, max: 9n }),
    })
    const within = valueWithin.chain(([name, value]) =>
      fc.bigInt({ min: 0n, max: 9n }).map(block => ({ name, value, block })),
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(within, anything)), unordered => {
        const changes = unordered.toSorted((a, b) => Number(a.block - b.block))
        const profile = profileAt(founding, changes)
        // A valid profile is one that its own values lead to.
        const values = new Map(PARAMETERS.map(({ name, of }) => [name, of(profile)]))
        assert.deepEqual(withParameters(founding, values, founding), profile)
        assert.deepEqual(profileAt(founding, structuredClone(changes)), profile)
      }),
    )
  })
})

describe('what the chain began with', () => {
  it('is what the manifest says, or the manifest is refused', () => {
    const values = new Map(PARAMETERS.map(({ name, of }) => [name, of(founding)]))
    checkFounding(founding, values)
    checkFounding(founding, new Map())
    for (const { name, of } of PARAMETERS) {
      assert.throws(() => checkFounding(founding, new Map([[name, of(founding) + 1n]])), {
        code: 'otherParameters',
        facts: { name, expected: of(founding), found: of(founding) + 1n },
      })
    }
  })
})
