import { strict as assert } from 'node:assert'
import { bls, challengeInput, drawnSlot, hex, networkId, sha256 } from '@cairn/protocol'
import fc from 'fast-check'

const NETWORK = networkId({
  chainId: 31337n,
  checkpoints: Uint8Array.from({ length: 20 }, (_, i) => i),
  genesis: 1_700_000_000n,
})
const seed = new Uint8Array(32).fill(0x44)

describe('challenge', () => {
  it('has the input of the published layout: domain, seed, kind, target', () => {
    assert.equal(
      hex(challengeInput({ network: NETWORK, seed, kind: 2, target: 9 })),
      '755810eb387af17f33fb46790047fc70d2f0eb34abc1f6e8619b5debceee8c96' +
        '4444444444444444444444444444444444444444444444444444444444444444' +
        '0209000000',
    )
  })

  it('has another input for any other network, seed, kind or target', () => {
    const inputs = [
      { network: NETWORK, seed, kind: 2, target: 9 },
      { network: sha256(NETWORK), seed, kind: 2, target: 9 },
      { network: NETWORK, seed: sha256(seed), kind: 2, target: 9 },
      { network: NETWORK, seed, kind: 1, target: 9 },
      { network: NETWORK, seed, kind: 2, target: 10 },
    ].map(input => hex(challengeInput(input)))
    assert.equal(new Set(inputs).size, inputs.length)
  })

  it('has one output per challenger, which its key and no other confirms', () => {
    const secret = new Uint8Array(32).fill(1)
    const input = challengeInput({ network: NETWORK, seed, kind: 2, target: 9 })
    const output = bls.sign(input, secret)
    assert.deepEqual(bls.sign(input, secret), output)
    assert.ok(bls.verify(input, bls.publicKey(secret), output))
    assert.ok(!bls.verify(input, bls.publicKey(new Uint8Array(32).fill(2)), output))
  })

  it('is due in the slot that the hash of the output names', () => {
    assert.equal(drawnSlot(new Uint8Array(96).fill(0xab), [1, 39]), 28)
    assert.equal(drawnSlot(new Uint8Array(96).fill(0xab), [1, 7]), 1)
    assert.equal(drawnSlot(new Uint8Array(96), [5, 5]), 5)
  })

  it('is due within the reveal slots, both ends included', () => {
    const anyRange = fc
      .tuple(fc.nat({ max: 100 }), fc.nat({ max: 100 }))
      .map(([first, more]) => [first, first + more] as const)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 96, maxLength: 96 }), anyRange, (output, range) => {
        const slot = drawnSlot(output, range)
        assert.ok(Number.isInteger(slot) && slot >= range[0] && slot <= range[1])
      }),
    )
  })

  it('is due in every reveal slot about equally often', () => {
    const counts = new Map<number, number>()
    const draws = 7_000
    for (let i = 0; i < draws; i++) {
      const output = new Uint8Array(96)
      new DataView(output.buffer).setUint32(0, i)
      const slot = drawnSlot(output, [1, 7])
      counts.set(slot, (counts.get(slot) ?? 0) + 1)
    }
    assert.deepEqual([...counts.keys()].sort(), [1, 2, 3, 4, 5, 6, 7])
    for (const count of counts.values()) assert.ok(count > 850 && count < 1_150, `${count}`)
  })
})
