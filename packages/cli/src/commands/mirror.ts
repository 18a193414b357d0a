/** `cairn mirror`: repeats the home chain's checkpoints on further chains. */
import { join } from 'node:path'
import type { Manifest, Mirror, MirrorDesk } from '@cairn/node'
import { CairnError, check, deriveKeys } from '@cairn/protocol'
import { chainSettingsOf } from '../chain-settings.ts'
import { pinoLog } from '../log.ts'
import { readManifest } from '../manifest.ts'
import type { Commands } from '../run.ts'
import { readSeed } from '../seed.ts'
import type { Session } from '../session.ts'
import { positive } from './numbers.ts'

/** Between two looks at the home chain, ms: short beside any epoch of a public network. */
const LOOK_MS = 15_000
/** What ends by itself, or once the account has ether again. */
const PASSING = new Set(['chainUnavailable', 'gasPrice', 'gasBudget', 'noFunds'])

interface RunOptions {
  chainId?: number
  once?: true
}

interface DeployOptions {
  rpc: string
  chainId: number
  delay: number
}

export function mirrorCommand({ program, action }: Commands): void {
  const mirror = program
    .command('mirror')
    .description('repeat the checkpoints of the home chain on another chain')
  mirror
    .command('run', { isDefault: true })
    .description('land what the mirrors of the manifest lack, in order, until Ctrl-C')
    .option('--chain-id <id>', 'on this chain only', positive)
    .option('--once', 'end when they lack nothing')
    .action(action(run))
  mirror
    .command('deploy')
    .description('deploy a mirror that begins with the newest active checkpoint')
    .requiredOption('--rpc <url>', 'endpoint of its chain')
    .requiredOption('--chain-id <id>', "its chain's id", positive)
    .option('--delay <seconds>', 'from acceptance there to its being acted upon', positive, 3600)
    .action(action(deploy))
}

async function run(session: Session, { chainId, once }: RunOptions) {
  const { output, signal } = session
  const { manifest, components, shared } = await prepare(session)
  const mirrors = (manifest.mirrors ?? []).filter(
    found => chainId === undefined || found.chainId === chainId,
  )
  check(mirrors.length > 0, 'badManifest', 'the manifest names no such mirror', {
    facts: { chainId },
    next: 'run `cairn mirror deploy`, and add what it prints to `mirrors`',
  })
  const { MirrorDesk } = await import('@cairn/node')
  const desks: { mirror: Mirror; desk: MirrorDesk }[] = []
  try {
    for (const mirror of mirrors) {
      desks.push({ mirror, desk: await MirrorDesk.open(components, { ...shared, mirror }) })
    }
    for (;;) {
      for (const { mirror, desk } of desks) {
        const round = await orLater(session, once, () => desk.carry(mirror, signal))
        for (const { epoch, transaction, gasUsed } of round?.landed ?? []) {
          output.result(
            { chainId: mirror.chainId, epoch, transaction, gasUsed: Number(gasUsed) },
            `epoch ${epoch} landed on chain ${mirror.chainId} for ${gasUsed} gas (${transaction})`,
          )
        }
        if (once && round !== undefined) announce(session, mirror, round)
      }
      if (once || signal.aborted) return undefined
      await components.clock.until(components.clock.now() + LOOK_MS, signal)
    }
  } finally {
    for (const { desk } of desks) await desk.close()
  }
}

/** Unless it is to end, what passes by itself, or by the operator's doing, is told and tried again. */
async function orLater<T>(
  { output }: Session,
  once: true | undefined,
  act: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await act()
  } catch (error) {
    if (once || !(error instanceof CairnError) || !PASSING.has(error.code)) throw error
    const { code, next } = error
    output.note(
      `${code}: ${error.message}; it is tried again${next === undefined ? '' : `: ${next}`}`,
    )
    return undefined
  }
}

function announce(
  { output }: Session,
  { chainId }: Mirror,
  { mirrorEpoch, homeEpoch }: { mirrorEpoch: number; homeEpoch: number },
): void {
  output.result(
    { chainId, mirrorEpoch, homeEpoch },
    `chain ${chainId} has all up to epoch ${mirrorEpoch}; the home chain accepted up to ${homeEpoch}`,
  )
}

async function deploy(session: Session, { rpc, chainId, delay }: DeployOptions) {
  const { manifest, components, shared } = await prepare(session)
  check(URL.canParse(rpc), 'usage', `expected the URL of an endpoint, found '${rpc}'`)
  const { MirrorDesk } = await import('@cairn/node')
  const { slotMs, slotsPerEpoch, termEpochs } = manifest.profile
  const epochSeconds = Math.ceil((slotMs * slotsPerEpoch) / 1_000)
  const desk = await MirrorDesk.open(components, { ...shared, mirror: { chainId, rpc: [rpc] } })
  const { checkpoints, access, epoch } = await desk
    .deploy(
      {
        genesis: manifest.genesis,
        activationDelay: delay,
        fallbackAfter: termEpochs * epochSeconds,
        termEpochs,
      },
      session.signal,
    )
    .finally(() => desk.close())
  const entry = { chainId, rpc: [rpc], checkpoints, finality: manifest.chain.finality }
  session.output.result(
    { ...entry, access, epoch },
    [
      `a mirror that begins with epoch ${epoch} stands at ${checkpoints}, its roles at ${access}`,
      'this account is its guardian and its council: hand the roles on',
      'add this to `mirrors` of the manifest:',
      JSON.stringify(entry, undefined, 2),
    ].join('\n'),
  )
  return undefined
}

async function prepare(session: Session) {
  const { world, output } = session
  const { values } = await session.config()
  const mnemonic = await readSeed(values.dataDir)
  const text = await readManifest(values.network)
  const { networkIdOf, parseManifest, systemClock } = await import('@cairn/node')
  const manifest: Manifest = parseManifest(text)
  const { chainId, rpc, contracts, finality, fromBlock = 0 } = manifest.chain
  const log = pinoLog({
    level: values.logLevel,
    json: output.json || world.stderr.isTTY !== true,
    stream: world.stderr,
  })
  const { rpc: given, ...limits } = chainSettingsOf(values)
  return {
    manifest,
    components: { clock: systemClock(), log },
    shared: {
      home: {
        chainId,
        rpc: given ?? rpc,
        checkpoints: contracts.checkpoints,
        finality,
        fromBlock: BigInt(fromBlock),
      },
      network: networkIdOf(manifest),
      account: deriveKeys(mnemonic).account.secret,
      directory: join(values.dataDir, 'mirrors'),
      ...limits,
    },
  }
}
