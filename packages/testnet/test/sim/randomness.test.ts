import { type RandomnessWorld, randomnessCases } from '@cairn/node'
import { LocalBeacon, localRandomness, VirtualClock } from '@cairn/testnet'

const START = 1_700_000_000_000
const SECRET = new Uint8Array(32).fill(7)

async function open(): Promise<RandomnessWorld> {
  const clock = new VirtualClock({ start: START })
  const rounds = { genesis: START / 1_000 - 10, period: 3 }
  const beacon = new LocalBeacon({ clock }, { ...rounds, secret: SECRET })
  return {
    randomness: localRandomness(beacon),
    clock,
    publicKey: beacon.publicKey,
    ...rounds,
    async pass(ms) {
      await clock.run({ until: clock.now() + ms })
    },
    async close() {},
  }
}

describe('randomness of a simulated world', () => {
  for (const { title, run } of randomnessCases(open)) it(title, run)
})
