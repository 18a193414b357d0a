/** The command: options that all share, the list of commands, and how each ends. */
import { CairnError } from '@cairn/protocol'
import { Command, CommanderError, Option } from 'commander'
import { auditCommand } from './commands/audit.ts'
import { claimCommand } from './commands/claim.ts'
import { configCommand } from './commands/config.ts'
import { coverageCommand } from './commands/coverage.ts'
import { dealsCommand } from './commands/deals.ts'
import { depositCommands } from './commands/deposit.ts'
import { earningsCommand, serviceCommand } from './commands/earnings.ts'
import { filesCommands } from './commands/files.ts'
import { gatewaysCommand } from './commands/gateways.ts'
import { getCommand } from './commands/get.ts'
import { grantsCommands } from './commands/grants.ts'
import { initCommand } from './commands/init.ts'
import { ledgerCommand } from './commands/ledger.ts'
import { mirrorCommand } from './commands/mirror.ts'
import { networkCommand } from './commands/network.ts'
import { operatorCommands } from './commands/operator.ts'
import { packetsCommand } from './commands/packets.ts'
import { peersCommand } from './commands/peers.ts'
import { penaltiesCommand } from './commands/penalties.ts'
import { pieceCommand } from './commands/piece.ts'
import { putCommand } from './commands/put.ts'
import { radioCommand } from './commands/radio.ts'
import { simulateCommand } from './commands/simulate.ts'
import { startCommand } from './commands/start.ts'
import { statusCommand } from './commands/status.ts'
import { stopCommand } from './commands/stop.ts'
import { storageCommand } from './commands/storage.ts'
import { testnetCommand } from './commands/testnet.ts'
import { transactionsCommand } from './commands/transactions.ts'
import { versionCommand } from './commands/version.ts'
import { volumesCommand } from './commands/volumes.ts'
import { voteCommand } from './commands/vote.ts'
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts'
import { Output } from './output.ts'
import { type GlobalOptions, Session } from './session.ts'
import type { World } from './world.ts'

const EXAMPLES = `
Examples:
  cairn init                         make keys and a data directory
  cairn start                        run the daemon
  cairn status                       is it of use, and if not, why
  cairn put photo.jpg                store a file, print its link
  cairn get LINK -o photo.jpg        fetch it again
  cairn ledger verify proof.json     check a proof without any node
  cairn testnet up --nodes 8         a whole network on this machine
`

/** Runs one command to its end and gives the exit code. Never rejects. */
export async function run(world: World): Promise<number> {
  const json = world.args.includes('--json')
  const debug = /^debug$/.test(argumentAfter(world, '--log-level') ?? '')
  const output = new Output(world, { json, debug })
  const stopping = new AbortController()
  let stops = 0
  const unsubscribe = world.onStop(() => {
    if (++stops > 1) world.exit(EXIT_CODES.interrupted.code)
    output.note('stopping; once more forces')
    stopping.abort(new CairnError('interrupted', 'stopped before it was done'))
  })
  let code: number = EXIT_CODES.ok.code
  const program = programOf({
    world,
    output,
    signal: stopping.signal,
    ended: exit => {
      code = exit
    },
  })
  try {
    await program.parseAsync([...world.args], { from: 'user' })
    return code
  } catch (error) {
    // Help and version are printed by then.
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT_CODES.ok.code
    if (error instanceof CommanderError && error.code === 'commander.help') {
      return EXIT_CODES.usage.code
    }
    const reason = stopping.signal.aborted && isAbort(error) ? stopping.signal.reason : error
    output.error(reason)
    return exitCodeOf(reason)
  } finally {
    unsubscribe()
  }
}

/** How commands attach to the program. */
export interface Commands {
  program: Command
  /** Wraps a command's body: opens its session, takes its exit code. */
  action: <A extends unknown[]>(
    body: (session: Session, ...args: A) => Promise<number | undefined>,
  ) => (...args: [...A, Command]) => Promise<void>
}

export interface ProgramInit {
  world: World
  output: Output
  signal: AbortSignal
  ended(code: number): void
}

/** Every command with its options; `docs/generate.ts` prints the reference from it. */
export function programOf({ world, output, signal, ended }: ProgramInit): Command {
  const program = new Command('cairn')
    .description('A peer-to-peer node that proves storage and radio coverage')
    .addHelpText('before', `${EXAMPLES.trimStart()}`)
    .option('--json', 'print JSON only')
    .option('--data-dir <dir>', 'directory of keys, ledger and pieces')
    .option('--network <file>', 'network manifest')
    .addOption(
      new Option('--log-level <level>', 'least severe messages logged').choices([
        'error',
        'warn',
        'info',
        'debug',
      ]),
    )
    .option('--config <file>', 'configuration file')
    .option('--set <key=value>', 'set any setting; may be given again', collect, [])
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: text => world.stdout.write(text),
      writeErr: text => world.stderr.write(text),
      // The error is printed once, in the form that was asked for, by whoever catches it.
      outputError: () => undefined,
    })
  const commands: Commands = {
    program,
    action:
      body =>
      async (...args) => {
        const command = args.at(-1) as Command
        const options = command.optsWithGlobals<GlobalOptions>()
        const session = new Session({ world, output, options, signal })
        // Commander passes the arguments, the options and the command itself.
        ended((await body(session, ...withoutLast(args))) ?? EXIT_CODES.ok.code)
      },
  }
  program.commandsGroup('Run:')
  initCommand(commands)
  gatewaysCommand(commands)
  startCommand(commands)
  statusCommand(commands)
  stopCommand(commands)
  peersCommand(commands)
  transactionsCommand(commands)
  penaltiesCommand(commands)
  configCommand(commands)
  versionCommand(commands)
  program.commandsGroup('Storage:')
  putCommand(commands)
  getCommand(commands)
  dealsCommand(commands)
  filesCommands(commands)
  grantsCommands(commands)
  serviceCommand(commands)
  auditCommand(commands)
  storageCommand(commands)
  pieceCommand(commands)
  volumesCommand(commands)
  program.commandsGroup('Radio:')
  coverageCommand(commands)
  packetsCommand(commands)
  radioCommand(commands)
  program.commandsGroup('Ledger:')
  ledgerCommand(commands)
  mirrorCommand(commands)
  program.commandsGroup('Money:')
  operatorCommands(commands)
  earningsCommand(commands)
  depositCommands(commands)
  claimCommand(commands)
  program.commandsGroup('Governance:')
  voteCommand(commands)
  networkCommand(commands)
  program.commandsGroup('Develop:')
  testnetCommand(commands)
  simulateCommand(commands)
  return program
}

function withoutLast<A extends unknown[]>(args: [...A, Command]): A {
  return args.slice(0, -1) as A
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

function argumentAfter({ args }: World, flag: string): string | undefined {
  const at = args.findIndex(arg => arg === flag || arg.startsWith(`${flag}=`))
  return args[at]?.split('=')[1] ?? (at === -1 ? undefined : args[at + 1])
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || 'code' in error)
}
