import { strict as assert } from 'node:assert'
import { hex, unhex } from '@cairn/protocol'
import { cmac, encodeUplink, UPLINK_PAYLOAD_MAX } from '@cairn/testnet'

describe('LoRaWAN uplink', () => {
  it('has the CMAC of RFC 4493', () => {
    const key = unhex('2b7e151628aed2a6abf7158809cf4f3c')
    const message = unhex(
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411' +
        'e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
    )
    const of = (bytes: number) => hex(cmac(key, message.subarray(0, bytes)))
    assert.equal(of(0), 'bb1d6929e95937287fa37d129b756746')
    assert.equal(of(16), '070a16b46b4d4144f79bdd9dd04a287c')
    assert.equal(of(40), 'dfa66747de9ae63030ca32611497c827')
    assert.equal(of(64), '51f0bebf7e3b9d92fc49741779363cfe')
  })

  it('is the frame that other implementations publish for the same device', () => {
    const keys = {
      devAddr: 0x49be7df1,
      nwkSKey: unhex('44024241ed4ce9a68c6a8bc055233fd3'),
      appSKey: unhex('ec925802ae430ca77fd3dd73cb2cc588'),
    }
    const payload = new TextEncoder().encode('test')
    const frame = encodeUplink(keys, { counter: 2, port: 1, payload })
    assert.equal(hex(frame), '40f17dbe4900020001954378762b11ff0d')
  })

  it('carries the lower half of a counter, and counts the whole', () => {
    const keys = { devAddr: 1, nwkSKey: new Uint8Array(16), appSKey: new Uint8Array(16) }
    const payload = new Uint8Array(20)
    const [low, high] = [5, 0x1_0005].map(counter =>
      encodeUplink(keys, { counter, port: 1, payload }),
    ) as [Uint8Array, Uint8Array]
    assert.deepEqual(low.subarray(0, 9), high.subarray(0, 9))
    assert.notDeepEqual(low.subarray(9, 29), high.subarray(9, 29))
    assert.notDeepEqual(low.subarray(29), high.subarray(29))
  })

  it('has room for 222 bytes, and refuses one more', () => {
    const keys = { devAddr: 1, nwkSKey: new Uint8Array(16), appSKey: new Uint8Array(16) }
    const of = (bytes: number) =>
      encodeUplink(keys, { counter: 0, port: 1, payload: new Uint8Array(bytes) })
    assert.equal(of(UPLINK_PAYLOAD_MAX).length, UPLINK_PAYLOAD_MAX + 13)
    assert.throws(() => of(UPLINK_PAYLOAD_MAX + 1), { code: 'badFrame' })
  })
})
