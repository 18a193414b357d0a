/**
 * Between rounds that no endpoint answers. Waits double, so that a short gap costs few calls, up to a
 * small bound: a chain that is back is to be seen at once, since checkpoints queue meanwhile. At the
 * bound an endpoint has a sixth of the calls that it has when it is well, so that all nodes together
 * do not keep down one that comes back; and they are spread by chance, not to arrive as one.
 */

/** Poll intervals that a wait has at most: 3 s at the usual two polls a second. */
const POLLS_MAX = 6
/** Part of a wait that is left to chance: a quarter. */
const SPREAD = 0.25

export interface BackoffInit {
  /** Between rounds that work, ms. */
  pollMs: number
  /** So many random bytes. */
  random(length: number): Uint8Array
}

/** Ms to wait after so many failed rounds in a row; after none, the poll interval. */
export function backoffMs(failures: number, { pollMs, random }: BackoffInit): number {
  if (failures === 0) return pollMs
  const wait = pollMs * Math.min(2 ** failures, POLLS_MAX)
  const chance = (random(1)[0] as number) / 256
  return wait * (1 - SPREAD * chance)
}
