/** A simulated network in which some nodes cheat, and what each earned beside the honest ones. */
import {
  type Deal,
  type Profile,
  type SettledFinding,
  type SettledVerdict,
  STORAGE,
  type StorageState,
  storageKind,
  TESTNET_PROFILE,
  TOKEN,
} from '@cairn/protocol'
import { type Cheat, type Founding, Monitor, Prng, silentLog, World } from '@cairn/testnet'
import { chooseFastHasher } from '../../src/sim/hasher.ts'

export const END_EPOCH = 100_000

export interface ArenaInit {
  nodes: number
  providers: number
  epochs: number
  cheats?: ReadonlyMap<number, Cheat>
  founding(world: World): Promise<Founding>
  profile?: Partial<Profile>
}

/** One settled epoch. */
export interface Played {
  readonly epoch: number
  readonly verdicts: readonly SettledVerdict[]
  readonly findings: readonly SettledFinding[]
  /** What each node was paid for storage, base units. */
  readonly earnings: ReadonlyMap<number, bigint>
  readonly penalties: readonly { readonly node: number; readonly amount: bigint }[]
  readonly state: StorageState
  /** Moved in or out of accounts, by account in hexadecimal. */
  readonly changes: readonly {
    readonly account: string
    readonly earned: bigint
    readonly spent: bigint
  }[]
}

/** Every world is the same every time. */
const SEED = 7

/** Plays so many epochs, and gives what each settled. */
export async function play(init: ArenaInit): Promise<{ world: World; epochs: Played[] }> {
  await chooseFastHasher()
  const world = new World({
    gateways: 0,
    seed: SEED,
    loss: 0,
    log: () => silentLog,
    ...init,
    profile: { ...TESTNET_PROFILE, ...init.profile },
  })
  await world.begin()
  const epochs: Played[] = []
  const monitor = new Monitor()
  monitor.onEpoch(({ epoch }, { settlement }) => {
    const storage = settlement.kinds.find(({ kind }) => kind === STORAGE)
    const { verdicts = [], findings = [], earnings = new Map<number, bigint>() } = storage ?? {}
    const { penalties, changes } = settlement
    const state = settlement.state.of<StorageState>(storageKind)
    epochs.push({ epoch, verdicts, findings, earnings, penalties, changes, state })
  })
  for (const { name, node } of world.nodes) monitor.watch(name, node)
  const started = world.start()
  const { slotMs, slotsPerEpoch } = world.profile
  const at = (epoch: number) => world.genesis * 1_000 + epoch * slotMs * slotsPerEpoch
  await world.clock.run({ until: at(0) })
  await started
  await world.clock.run({ until: at(init.epochs + 1) - 1 })
  if (epochs.length < init.epochs) throw new Error(`only ${epochs.length} epochs landed`)
  return { world, epochs: epochs.slice(0, init.epochs) }
}

/** What a node was paid for storage in these epochs. */
export function earnedBy(epochs: readonly Played[], node: number): bigint {
  return epochs.reduce((sum, { earnings }) => sum + (earnings.get(node) ?? 0n), 0n)
}

/** Of what the other was paid, in hundredths. */
export function share(epochs: readonly Played[], node: number, honest: number): number {
  return Number((earnedBy(epochs, node) * 100n) / earnedBy(epochs, honest))
}

/** Deals of a provider that the last epoch carries on. */
export function dealsLeft(epochs: readonly Played[], provider: number): number {
  return (epochs.at(-1)?.state.deals ?? []).filter(deal => deal.provider === provider).length
}

/** Codes with which a provider's challenges ended. */
export function reasons(epochs: readonly Played[], provider: number): Set<string> {
  const found = epochs.flatMap(({ verdicts }) => verdicts)
  return new Set(found.filter(({ target }) => target === provider).map(({ reason }) => reason))
}

export function penalised(epochs: readonly Played[], node: number): bigint {
  const found = epochs.flatMap(({ penalties }) => penalties)
  return found
    .filter(penalty => penalty.node === node)
    .reduce((sum, { amount }) => sum + amount, 0n)
}

/** Bytes that only a seed gives again. */
export function bytesOf(label: string, length: number): Uint8Array {
  const prng = new Prng(new Uint8Array(32), label)
  return Uint8Array.from({ length }, () => prng.u32() & 0xff)
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** The last node's deposit, and what it has stored: so many pieces of each provider, all of one size. */
export async function stored(
  world: World,
  pieces: readonly { provider: number; payload: Uint8Array }[],
): Promise<Founding> {
  const client = world.places.at(-1)
  if (client === undefined) throw new Error('a world has a client')
  const { identity: key } = client.signer
  const deals: Deal[] = []
  for (const [number, { provider, payload }] of pieces.entries()) {
    const piece = await world.shelf(provider).put(once(payload))
    deals.push({
      client: key,
      provider,
      piece,
      group: new Uint8Array(32),
      place: number,
      startEpoch: 0,
      endEpoch: END_EPOCH,
      pricePerEpoch: TOKEN,
      nonce: BigInt(number),
    })
  }
  const account = world.account(client.index)
  return { deposits: [{ account, key, amount: 1_000_000n * TOKEN }], deals }
}
