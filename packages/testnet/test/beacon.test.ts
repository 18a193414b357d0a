import { strict as assert } from 'node:assert'
import { drandRelays, type RandomnessWorld, randomnessCases, systemClock } from '@cairn/node'
import { LocalBeacon, silentLog } from '@cairn/testnet'

const SECRET = new Uint8Array(32).fill(7)
const NOBODY = 'http://127.0.0.1:1'

async function open(): Promise<RandomnessWorld> {
  const clock = systemClock()
  const rounds = { genesis: Math.floor(clock.now() / 1_000) - 30, period: 10 }
  const beacon = new LocalBeacon({ clock }, { ...rounds, secret: SECRET })
  const url = await beacon.listen()
  return {
    randomness: drandRelays({ log: silentLog }, { urls: [url] }),
    clock,
    publicKey: beacon.publicKey,
    ...rounds,
    async pass(ms) {
      clock.setOffset(ms)
    },
    close: () => beacon.stop(),
  }
}

describe('randomness over HTTP', () => {
  for (const { title, run } of randomnessCases(open)) it(title, run)

  it('has no round before it is due, and nothing but rounds', async () => {
    const clock = systemClock()
    const genesis = Math.floor(clock.now() / 1_000) + 3_600
    const beacon = new LocalBeacon({ clock }, { genesis, period: 10, secret: SECRET })
    assert.equal(beacon.round(1), undefined)
    clock.setOffset(3_600_000)
    assert.ok(beacon.round(1) !== undefined)
    for (const round of [0, -1, 2]) assert.equal(beacon.round(round), undefined)
    const url = await beacon.listen()
    for (const path of ['/', '/public/latest', '/public/2', '/public/01e0', '/public/1/..']) {
      assert.equal((await fetch(url + path)).status, 404, path)
    }
    assert.equal((await fetch(`${url}/public/1`)).status, 200)
    await beacon.stop()
    await beacon.stop()
  })

  it('passes over relays that do not answer', async () => {
    const clock = systemClock()
    const genesis = Math.floor(clock.now() / 1_000) - 30
    const beacon = new LocalBeacon({ clock }, { genesis, period: 10, secret: SECRET })
    const { signal } = new AbortController()
    const down = drandRelays({ log: silentLog }, { urls: [NOBODY] })
    assert.equal(await down.round(1, signal), undefined)
    const url = await beacon.listen()
    const some = drandRelays({ log: silentLog }, { urls: [NOBODY, url] })
    assert.deepEqual(await some.round(1, signal), beacon.round(1))
    await beacon.stop()
  })
})
