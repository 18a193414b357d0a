import { resolve } from 'node:path'
import { TOKEN, tokenText, unitsText } from '@cairn/protocol'
import type { MemberStatus } from '@cairn/testnet'
import { accountGiven, tokenAmount } from '../amounts.ts'
import { pinoLog } from '../log.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { positive, whole } from './numbers.ts'

interface UpOptions {
  nodes: number
  gateways?: number
  radiosPerNode?: number
  providers?: number
  seed: number
  cheats?: string
  file?: string
  checkpoints?: number
  dir?: string
}

export function testnetCommand({ program, action }: Commands): void {
  const testnet = program.command('testnet').description('a whole network on this machine')
  testnet
    .command('up')
    .description('bring one up, and keep it until Ctrl-C')
    .option('--nodes <n>', 'how many nodes, 2 to 64', positive, 8)
    .option('--gateways <n>', 'how many of them have a radio; all unless given', whole)
    .option('--radios-per-node <n>', 'radios of each that has one, 1 to 16', positive, 1)
    .option('--providers <n>', 'how many of them offer disk; four unless given', whole)
    .option('--seed <n>', 'what keys and places follow from', whole, 1)
    .option('--cheats <kind=n,...>', 'how many gateways cheat, the last ones, and how')
    .option('--file <file>', 'store and fetch this file, then go on')
    .option('--checkpoints <n>', 'end well after so many accepted checkpoints', positive)
    .option('--dir <dir>', 'directory of the testnet')
    .action(
      action(async (session, { dir, cheats, ...given }: UpOptions) => {
        const { parseCheats, testnetUp } = await import('@cairn/testnet')
        const options = cheats === undefined ? given : { ...given, cheats: parseCheats(cheats) }
        const dataDir = await directory(session, dir)
        const { output, world, signal } = session
        const { values } = await session.config()
        const log = pinoLog({
          level: values.logLevel === 'info' ? 'warn' : values.logLevel,
          json: output.json || world.stderr.isTTY !== true,
          stream: world.stderr,
        })
        const { json } = output
        return await testnetUp({ ...options, json, dataDir }, { screen: world.stdout, log, signal })
      }),
    )
  testnet
    .command('down')
    .description('end the one that runs in the directory, and wait until it has')
    .option('--dir <dir>', 'directory of the testnet')
    .action(
      action(async (session, { dir }: { dir?: string }) => {
        const { testnetDown } = await import('@cairn/testnet')
        await testnetDown(await directory(session, dir), session.signal)
        session.output.result({ stopped: true }, 'down')
        return undefined
      }),
    )
  testnet
    .command('give <account>')
    .description('send an account ether and tokens, as to a node of your own')
    .option('--ether <ether>', 'how much; 10 unless given', tokenAmount)
    .option('--tokens <tokens>', 'how many; 2000 unless given', tokenAmount)
    .option('--dir <dir>', 'directory of the testnet')
    .action(action(give))
  testnet
    .command('status')
    .description('what runs, and how far it is')
    .option('--dir <dir>', 'directory of the testnet')
    .action(
      action(async (session, { dir }: { dir?: string }) => {
        const { testnetStatus, violationText } = await import('@cairn/testnet')
        const status = await testnetStatus(await directory(session, dir))
        const lines = [...status.nodes.map(memberText), ...status.violations.map(violationText)]
        session.output.result(status, lines.join('\n'))
        return undefined
      }),
    )
  testnet
    .command('fault <kind> [nodes...]')
    .description('stop, start, partition, heal, rpc-down or rpc-up nodes, by name')
    .option('--dir <dir>', 'directory of the testnet')
    .action(
      action(async (session, kind: string, nodes: string[], { dir }: { dir?: string }) => {
        const { testnetFault } = await import('@cairn/testnet')
        const result = await testnetFault(await directory(session, dir), kind, nodes)
        session.output.result(result ?? { fault: kind, nodes }, `${kind} ${nodes.join(' ')}`)
        return undefined
      }),
    )
}

interface GiveOptions {
  ether?: bigint
  tokens?: bigint
  dir?: string
}

async function give(session: Session, text: string, options: GiveOptions) {
  // Enough for a node with its least bond, and for much gas.
  const { ether = 10n * TOKEN, tokens = 2_000n * TOKEN, dir } = options
  const account = accountGiven(text)
  const { testnetGive } = await import('@cairn/testnet')
  const { transactions } = await testnetGive(await directory(session, dir), {
    account,
    ether,
    tokens,
  })
  session.output.result(
    { account, ether: String(ether), tokens: String(tokens), transactions },
    `gave 0x${account} ${unitsText(ether)} ether and ${tokenText(tokens)}`,
  )
  return undefined
}

function memberText({ name, running, rpc, peers = 0, accepted = -1 }: MemberStatus): string {
  if (!running) return `${name}  stopped`
  const epoch = accepted < 0 ? 'nothing accepted yet' : `accepted up to epoch ${accepted}`
  return `${name}  ${peers} peers, ${epoch}${rpc ? '' : ', cut off from the chain'}`
}

/** In the working directory unless said otherwise: a testnet belongs to what is developed there. */
async function directory(session: Session, dir: string | undefined): Promise<string> {
  const { values, origin } = await session.config()
  const { cwd } = session.world
  if (dir !== undefined) return resolve(cwd, dir)
  return origin.dataDir === 'default' ? resolve(cwd, '.cairn', 'testnet') : values.dataDir
}
