/**
 * Who signs checkpoints in a term: everybody while they are few, else as many as fit, drawn one
 * after the other without replacement, every whole unit of bond having one chance in each draw.
 */
import { sha256 } from '#crypto'
import type { Profile } from './profile.ts'
import { TOKEN } from './profile.ts'
import type { RegistryEntry } from './registry.ts'
import { Bytes32, ContainerType, Uint32, u64 } from './ssz.ts'
import type { CoreState } from './state.ts'

const DrawWord = new ContainerType({ seed: Bytes32, place: Uint32 })

export interface CommitteeMember {
  readonly index: number
  /** BLS key, 48 bytes. */
  readonly key: Uint8Array
  /** Whole tokens of bond, capped. */
  readonly weight: number
}

/** First epoch of the term that contains an epoch. */
export function termStart(epoch: number, { termEpochs }: Pick<Profile, 'termEpochs'>): number {
  return Math.floor(epoch / termEpochs) * termEpochs
}

/**
 * The committee by ascending node index. `seed` is that of the epoch before the term; undefined
 * only while everybody fits.
 */
export function drawCommittee(
  active: readonly RegistryEntry[],
  profile: Pick<Profile, 'committeeMax' | 'bondCap'>,
  seed: Uint8Array | undefined,
): CommitteeMember[] {
  const candidates = active
    .map(({ index, voting, bond }) => ({ index, key: voting, weight: weightOf(bond, profile) }))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => a.index - b.index)
  if (candidates.length <= profile.committeeMax || seed === undefined) return candidates
  const chosen: CommitteeMember[] = []
  let total = candidates.reduce((sum, { weight }) => sum + weight, 0)
  for (let place = 0; chosen.length < profile.committeeMax; place++) {
    const word = u64(sha256(DrawWord.serialize({ seed, place })))
    let rest = Number(word % BigInt(total))
    const at = candidates.findIndex(({ weight }) => {
      rest -= weight
      return rest < 0
    })
    const [member] = candidates.splice(at, 1) as [CommitteeMember]
    total -= member.weight
    chosen.push(member)
  }
  return chosen.sort((a, b) => a.index - b.index)
}

/**
 * Those of the active from whom a committee is drawn: without who is idle and who is absent, so that
 * weight that is gone for good or withholds its votes does not stop the next term, too. Whichever of
 * the two leaves no majority of all weight is drawn with the others, the absent before the idle.
 */
export function candidatesOf(
  active: readonly RegistryEntry[],
  { idle, absent }: { idle: ReadonlySet<number>; absent: ReadonlySet<number> },
  profile: Pick<Profile, 'bondCap'>,
): readonly RegistryEntry[] {
  const weight = (entries: readonly RegistryEntry[]) =>
    entries.reduce((sum, { bond }) => sum + weightOf(bond, profile), 0)
  const without = (entries: readonly RegistryEntry[], out: ReadonlySet<number>) => {
    const rest = entries.filter(({ index }) => !out.has(index))
    return 2 * weight(rest) > weight(active) ? rest : entries
  }
  return without(without(active, idle), absent)
}

/** Who was drawn and has had no vote counted in `idleEpochs` epochs that tell who voted. */
export function absentNodes(
  { absent }: Pick<CoreState, 'absent'>,
  { idleEpochs }: Pick<Profile, 'idleEpochs'>,
): Set<number> {
  return new Set(absent.filter(({ missed }) => missed >= idleEpochs).map(({ node }) => node))
}

/** Weight of a bond in a committee: whole tokens, capped. */
export function weightOf(bond: bigint, { bondCap }: Pick<Profile, 'bondCap'>): number {
  return Number((bond < bondCap ? bond : bondCap) / TOKEN)
}
