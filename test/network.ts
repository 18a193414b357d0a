/** A testnet of real parts in this process, with epochs short enough for a test. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AcceptedCheckpoint, Adopted, CairnNode, Log } from '@cairn/node'
import { CairnError, type Profile, TESTNET_PROFILE } from '@cairn/protocol'
import { readTestnetFile, Testnet, type TestnetFile, type TestnetInit } from '@cairn/testnet'

/** Epochs of five seconds; every gateway beacons in each. */
const QUICK: Profile = {
  ...TESTNET_PROFILE,
  slotMs: 500,
  slotsPerEpoch: 10,
  storageReveal: [1, 4],
  coverageReveal: [1, 2],
  attestUntilSlot: 8,
  sealSlot: 9,
  roundEpochs: 1,
}

/** Starting four nodes takes three seconds on an idle machine. */
const PREPARATION_S = 7
const PREPARATION_MAX_S = 20
const PUT_MS = 20_000

export interface Running {
  testnet: Testnet
  file: TestnetFile
  /** Stops it and removes its directory. */
  end(): Promise<void>
}

/** A testnet that has begun, with a file of 1 MiB in it; resolves before genesis. */
export async function quickTestnet(init: Partial<TestnetInit> = {}): Promise<Running> {
  for (let preparationS = init.preparationS ?? PREPARATION_S; ; preparationS *= 2) {
    try {
      return await startQuick({ ...init, preparationS })
    } catch (error) {
      // Other work may keep the machine from being ready in time.
      const late = error instanceof CairnError && error.code === 'genesisPassed'
      if (!late || preparationS > PREPARATION_MAX_S) throw error
    }
  }
}

async function startQuick(init: Partial<TestnetInit>): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'cairn-test-'))
  const dataDir = join(directory, 'testnet')
  let testnet: Testnet | undefined
  const end = async () => {
    await testnet?.stop()
    await rm(directory, { recursive: true, force: true })
  }
  try {
    testnet = await Testnet.start({
      nodes: 4,
      providers: 3,
      gateways: 3,
      seed: 1,
      log: silent,
      profile: QUICK,
      dataDir,
      ...init,
    })
    const signal = AbortSignal.timeout(PUT_MS)
    const { view } = testnet.daemon('node4')
    const stored = { name: 'file', bytes: bytes(1024 * 1024) }
    await testnet.early(() => view.put([stored], { signal }))
    await testnet.begin()
    await testnet.open(() => {})
    return { testnet, file: await readTestnetFile(dataDir), end }
  } catch (error) {
    await end()
    throw error
  }
}

let shared: Promise<Running> | undefined
let users = 0

/**
 * One testnet for all the suites that call this and leave it as they found it; it ends with the
 * last of them.
 */
export function sharedTestnet(): () => Running {
  let running: Running | undefined
  users++
  before(async () => {
    shared ??= quickTestnet()
    running = await shared
    if (running.testnet.daemon('node1').node.checkpointer.adopted < 0) {
      await accepted(running.testnet, 0)
    }
  })
  after(async () => {
    if (--users === 0) await running?.end()
  })
  return () => {
    if (running === undefined) throw new Error('the testnet did not start')
    return running
  }
}

/** The next epoch from `from` on that the network accepts. */
export function accepted(testnet: Testnet, from: number): Promise<AcceptedCheckpoint> {
  return new Promise(resolve => {
    testnet.monitor.onEpoch(found => {
      if (found.epoch >= from) resolve(found)
    })
  })
}

/** One node's adoption of an epoch, `from` or later. */
export function adopted(node: CairnNode, from: number): Promise<Adopted> {
  return new Promise(resolve => {
    node.checkpointer.onAdopted(found => {
      if (found.accepted.epoch >= from) resolve(found)
    })
  })
}

/** Resolves when the clock has reached an epoch. */
export async function begun(testnet: Testnet, epoch: number): Promise<void> {
  const { genesis, profile } = testnet.manifest
  const start = genesis * 1_000 + epoch * profile.slotMs * profile.slotsPerEpoch
  await new Promise(resolve => setTimeout(resolve, Math.max(0, start - Date.now())))
}

/** The epoch that the clock is in. */
export function presentEpoch({ manifest: { genesis, profile } }: Testnet): number {
  return Math.floor(
    (Date.now() / 1_000 - genesis) / ((profile.slotMs * profile.slotsPerEpoch) / 1_000),
  )
}

/** Asks again and again for what no event tells; rejects after `ms` with what was found last. */
export async function until<T>(
  ms: number,
  ask: () => T | Promise<T>,
  holds: (value: T) => boolean,
): Promise<T> {
  const limit = Date.now() + ms
  for (;;) {
    const found = await ask()
    if (holds(found)) return found
    if (Date.now() > limit) throw new Error(`not within ${ms} ms; last: ${JSON.stringify(found)}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** Whether anybody takes TCP connections there. */
export async function isListening(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    // Refused: nobody listens.
    return false
  } finally {
    socket.destroy()
  }
}

async function* bytes(length: number): AsyncGenerator<Uint8Array> {
  const part = 64 * 1024
  for (let at = 0; at < length; at += part) {
    yield Uint8Array.from({ length: Math.min(part, length - at) }, (_, i) => (at + i * 7) & 0xff)
  }
}

export const silent: Log = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silent,
}
