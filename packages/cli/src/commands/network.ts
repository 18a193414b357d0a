/** `cairn network`: founds a network, which its team does once. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { acquireLock } from '@cairn/node/lock'
import { check, deriveKeys, hex, tokenText } from '@cairn/protocol'
import { chainSettingsOf } from '../chain-settings.ts'
import type { Values } from '../config/keys.ts'
import { readText } from '../input.ts'
import { pinoLog } from '../log.ts'
import { readManifest } from '../manifest.ts'
import type { Commands } from '../run.ts'
import { readSeed } from '../seed.ts'
import type { Session } from '../session.ts'

export function networkCommand({ program, action }: Commands): void {
  const network = program.command('network').description('found a network of one’s own')
  network
    .command('deploy')
    .description('deploy the contracts with the account of the data directory, or go on with it')
    .argument('<settings>', 'JSON file, as in docs/operations.md')
    .requiredOption('--out <dir>', 'where the manifest goes; the same again to go on')
    .option('--rpc <url>', "endpoint of the chain, instead of the settings'")
    .action(action(deploy))
  network
    .command('start')
    .description('name the first committee, before genesis: shows it, and starts with --yes')
    .option('--yes', 'start: who registers after is not in the first committee')
    .action(action(start))
}

async function deploy(
  session: Session,
  file: string,
  { out, rpc }: { out: string; rpc?: string },
): Promise<undefined> {
  const { output, world, signal } = session
  check(rpc === undefined || URL.canParse(rpc), 'usage', `--rpc: expected a URL, found '${rpc}'`)
  const text = await readText(resolve(world.cwd, file))
  const { deployNetwork, networkIdOf, parseFounding, systemClock } = await import('@cairn/node')
  const settings = parseFounding(text)
  await withAccount(session, async (account, values) => {
    const { manifest, path, deployer, gasUsed } = await deployNetwork(
      {
        settings,
        directory: resolve(world.cwd, out),
        ...chainSettingsOf(values),
        ...(rpc === undefined ? {} : { rpc: [rpc] }),
        account,
        clock: systemClock(),
        log: logOf(session, values),
        progress: line => output.note(line),
      },
      signal,
    )
    const { contracts, fromBlock } = manifest.chain
    const genesis = timeText(manifest.genesis)
    output.result(
      {
        manifest: path,
        network: hex(networkIdOf(manifest)),
        deployer,
        contracts,
        fromBlock,
        genesis: manifest.genesis,
        gasUsed: Number(gasUsed),
      },
      [
        `${manifest.name}: ${Object.keys(contracts).length} contracts stand, for ${gasUsed} gas`,
        `  manifest   ${path}, with genesis.ssz beside it`,
        `  roles      the guardian and the timelock; ${deployer} may only start the network`,
        `  genesis    ${genesis}`,
        '',
        'Next:',
        '  - give both files to operators; they run `cairn init --network FILE`, `cairn register`, `cairn start`',
        `  - once those who come first are registered, and before ${genesis}: \`cairn network start --network ${path}\``,
      ].join('\n'),
    )
  })
  return undefined
}

async function start(session: Session, { yes }: { yes?: true }): Promise<undefined> {
  const { output, signal } = session
  const { values } = await session.config()
  const text = await readManifest(values.network)
  const { openStart, parseManifest, systemClock } = await import('@cairn/node')
  const manifest = parseManifest(text)
  const genesisState = await readFile(join(dirname(values.network), manifest.genesisState))
  const clock = systemClock()
  await withAccount(session, async account => {
    const desk = await openStart(
      {
        manifest,
        genesisState,
        ...chainSettingsOf(values),
        dataDir: values.dataDir,
        account,
        clock,
        random: length => randomBytes(length),
        log: logOf(session, values),
      },
      signal,
    )
    try {
      const { committee, block, started } = desk
      const members = committee.map(({ index, weight }) => ({ index, weight }))
      const weight = members.reduce((sum, member) => sum + member.weight, 0)
      const facts = { genesis: manifest.genesis, block: Number(block), members, weight }
      const lines = [
        `${members.length} ${members.length === 1 ? 'node' : 'nodes'} with ${tokenText(BigInt(weight) * 10n ** 18n)} for the first checkpoints, as registered in block ${block}`,
        ...members.map(member => `  node ${member.index}, weight ${member.weight}`),
        `genesis is at ${timeText(manifest.genesis)}`,
      ]
      if (yes === undefined && !started) {
        output.result({ ...facts, done: 'dryRun' }, lines.join('\n'))
        output.note(
          members.length === 0
            ? 'nothing was sent: nobody is registered in a final block yet, look again later'
            : 'nothing was sent: see that their daemons run, then pass --yes',
        )
        return
      }
      const { root, transaction } = await desk.start(signal)
      const done = started ? 'before' : 'now'
      output.result(
        { ...facts, done, root: hex(root), transaction },
        [started ? 'was started before' : `started, transaction ${transaction}`, ...lines].join(
          '\n',
        ),
      )
      output.note('more than two thirds of that weight have to run `cairn start` before genesis')
    } finally {
      await desk.close()
    }
  })
  return undefined
}

/** No daemon may run on the directory meanwhile: an account has one sender. */
async function withAccount(
  session: Session,
  use: (secret: Uint8Array, values: Values) => Promise<void>,
): Promise<void> {
  const { values } = await session.config()
  const mnemonic = await readSeed(values.dataDir)
  const lock = await acquireLock(values.dataDir, session.world.pid)
  try {
    await use(deriveKeys(mnemonic).account.secret, values)
  } finally {
    await lock.release()
  }
}

function logOf({ output, world }: Session, { logLevel }: Values) {
  const level = logLevel === 'debug' ? 'debug' : 'error'
  return pinoLog({ level, json: output.json, stream: world.stderr })
}

function timeText(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace('.000Z', 'Z')
}
