import { strict as assert } from 'node:assert'
import { DRAND_SIGNATURE_BYTES, equalBytes, verifyRound } from '@cairn/protocol'
import type { Clock, Randomness } from '../ports.ts'
import type { ConformanceCase } from './case.ts'

/** A source of rounds some of which are due and some of which are not. */
export interface RandomnessWorld {
  randomness: Randomness
  /** By which its rounds become due. */
  clock: Clock
  publicKey: Uint8Array
  /** When round 1 is due, seconds since 1970: in the past. */
  genesis: number
  /** Seconds between rounds. */
  period: number
  /** Lets at least `ms` of the clock's time go by. */
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

/** What every source of public randomness must do. */
export function randomnessCases(open: () => Promise<RandomnessWorld>): ConformanceCase[] {
  const rule = (
    title: string,
    run: (world: RandomnessWorld) => Promise<void>,
  ): ConformanceCase => ({
    title,
    async run() {
      const world = await open()
      try {
        await run(world)
      } finally {
        await world.close()
      }
    },
  })
  const { signal } = new AbortController()
  return [
    rule('gives the signature of every round that is due', async world => {
      const { randomness, publicKey } = world
      const newest = dueRound(world)
      for (const round of new Set([1, 2, newest])) {
        const signature = await randomness.round(round, signal)
        assert.equal(signature?.length, DRAND_SIGNATURE_BYTES)
        assert.ok(verifyRound({ publicKey, round, signature }))
      }
    }),
    rule('gives one round one signature, and each its own', async ({ randomness }) => {
      const [first, again, second] = await Promise.all(
        [1, 1, 2].map(round => randomness.round(round, signal)),
      )
      assert.ok(first !== undefined && again !== undefined && second !== undefined)
      assert.deepEqual(again, first)
      assert.ok(!equalBytes(first, second))
    }),
    rule('has nothing for a round that is not due, until it is', async world => {
      const { randomness, pass, period } = world
      const coming = dueRound(world) + 2
      assert.equal(await randomness.round(coming, signal), undefined)
      await pass(3 * period * 1_000)
      assert.equal((await randomness.round(coming, signal))?.length, DRAND_SIGNATURE_BYTES)
    }),
    rule('has nothing before the first round', async ({ randomness }) => {
      assert.equal(await randomness.round(0, signal), undefined)
    }),
    rule('has nothing for who gave up', async ({ randomness }) => {
      assert.equal(await randomness.round(1, AbortSignal.abort()), undefined)
    }),
  ]
}

/** The newest round that is due. */
function dueRound({ clock, genesis, period }: RandomnessWorld): number {
  return 1 + Math.floor((clock.now() / 1_000 - genesis) / period)
}
