import { strict as assert } from 'node:assert'
import {
  airtime,
  beaconPlan,
  EU868,
  FRAME_BYTES,
  framePayload,
  hex,
  PUBLIC_PROFILE,
  planOf,
  powerLimit,
  TESTNET_PROFILE,
} from '@cairn/protocol'
import fc from 'fast-check'
import { bytes32 } from './network.ts'

const gateway = { region: EU868.code, subBand: 0 }
const output = new Uint8Array(96).fill(5)

describe('plan of a beacon', () => {
  it('has the golden vector', () => {
    // Computed with hashlib from the SSZ layout.
    const plan = beaconPlan({ output, nonce: bytes32(2), gateway, profile: TESTNET_PROFILE })
    assert.deepEqual(plan && { ...plan, payload: hex(plan.payload) }, {
      payload: 'e095de11159b94070e1bf7e1d747b1e4226203679cf64ff780',
      frequency: 867_500_000,
      spreadingFactor: 8,
      bandwidth: 125,
      power: 160,
      delayMs: 404,
    })
  })

  it('stays within channels, spreading factors, power and the slot', () => {
    for (const profile of [TESTNET_PROFILE, PUBLIC_PROFILE]) {
      const seen = new Set<number>()
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), nonce => {
          const plan = beaconPlan({ output, nonce, gateway, profile })
          assert.ok(plan)
          const { spreadingFactor, frequency, power, delayMs } = plan
          const [least, most] = profile.spreadingFactors
          assert.ok(spreadingFactor >= least && spreadingFactor <= most)
          assert.ok(EU868.channelSets[0]?.includes(frequency))
          assert.ok(power <= (powerLimit(EU868, frequency) as number))
          const air = airtime({ bytes: FRAME_BYTES, spreadingFactor, bandwidth: 125 }) / 1_000
          assert.ok(delayMs >= profile.skewMs)
          assert.ok(delayMs + air <= profile.slotMs - profile.skewMs)
          assert.deepEqual(plan.payload, framePayload(output, nonce))
          seen.add(spreadingFactor)
        }),
        { numRuns: 300 },
      )
      const [least, most] = profile.spreadingFactors
      assert.equal(seen.size, most - least + 1)
    }
  })

  it('changes as a whole with nonce and output', () => {
    const a = framePayload(output, bytes32(1))
    assert.notDeepEqual(a, framePayload(output, bytes32(2)))
    assert.notDeepEqual(a, framePayload(new Uint8Array(96).fill(6), bytes32(1)))
  })

  it('does not exist without a known plan and sub-band', () => {
    const init = { output, nonce: bytes32(2), profile: TESTNET_PROFILE }
    assert.equal(beaconPlan({ ...init, gateway: { region: 255, subBand: 0 } }), undefined)
    assert.equal(beaconPlan({ ...init, gateway: { ...gateway, subBand: 7 } }), undefined)
    assert.equal(planOf({ region: 255, subBand: 0 }), undefined)
    assert.equal(planOf({ ...gateway, subBand: 7 }), undefined)
  })
})
