/** The rounds of a local beacon as they become due, without a server in between. */
import type { Randomness } from '@cairn/node'
import type { LocalBeacon } from '../beacon.ts'

export function localRandomness(beacon: LocalBeacon): Randomness {
  return {
    async round(round, signal) {
      return signal.aborted ? undefined : beacon.round(round)
    },
  }
}
