/** What an operator does with the chain: registers, bonds, moves, changes the offer, leaves. */
import type { Done, Json, OperatorStanding } from '@cairn/node'
import {
  CairnError,
  COVERAGE,
  cellAt,
  check,
  durationText,
  hex,
  KINDS,
  REGIONAL_PLANS,
  regionalPlan,
  STORAGE,
  unhex,
  unitsText,
} from '@cairn/protocol'
import { InvalidArgumentError } from 'commander'
import { accountGiven, positiveTokens } from '../amounts.ts'
import { gatewaysOf } from '../config/gateways.ts'
import type { Values } from '../config/keys.ts'
import { type Desk, openDesk, requireGift, strangerOf } from '../operator.ts'
import { payOnce, REFERENCE } from '../payment.ts'
import type { Commands } from '../run.ts'
import type { Session } from '../session.ts'
import { whole } from './numbers.ts'

interface Chosen {
  node?: number
  key?: number
}

interface Dry {
  dryRun?: true
}

interface Referred {
  reference?: string
}

interface Placed {
  cell?: bigint
  at?: [number, number]
  coarse?: true
  region?: string
  subBand?: number
  gain?: number
}

interface Offered {
  payout?: string
  kinds?: number
}

type RegisterOptions = Dry & Placed & Offered & { bond?: bigint; key?: number }

const FINE = 12
const COARSE = 10

export function operatorCommands({ program, action }: Commands): void {
  const DRY = ['--dry-run', 'say what it would cost, and send nothing'] as const
  const NODE = ['--node <index>', 'another node of this account', whole] as const
  const KEY = ['--key <n>', 'the gateway with this number in radio.gateways', whole] as const
  const CELL = ['--cell <h3>', 'H3 cell of the antenna, resolution 12 or 10', cellGiven] as const
  const AT = ['--at <lat,lng>', 'the antenna in degrees, instead of its cell', placeGiven] as const
  const COARSE_AT = ['--coarse', 'with --at: a cell of 130 m instead of 18 m'] as const
  const REGION = [
    '--region <plan>',
    'regional plan; radio.region unless given or registered',
    regionGiven,
  ] as const
  const SUB_BAND = ['--sub-band <n>', 'sub-band of the plan', whole] as const
  const GAIN = ['--gain <n>', 'antenna gain less cable loss, 0.1 dBi', gainGiven] as const
  const PAYOUT = ['--payout <account>', 'where rewards go; this account unless given'] as const
  const KINDS_GIVEN = [
    '--kinds <list>',
    'storage, coverage or none, by comma; what the configuration offers unless given',
    kindsGiven,
  ] as const

  program
    .command('register')
    .description('register this node and bond it, in one transaction')
    .option(...CELL)
    .option(...AT)
    .option(...COARSE_AT)
    .option(...REGION)
    .option(...SUB_BAND)
    .option(...GAIN)
    .option(...KINDS_GIVEN)
    .option('--bond <tokens>', 'the least that there may be, unless given', positiveTokens)
    .option(...PAYOUT, accountGiven)
    .option(...KEY)
    .option(...DRY)
    .action(action(register))

  const bond = program.command('bond').description('the bond of this node, or of another')
  bond
    .command('show', { isDefault: true })
    .description('show account, node and bond, and what a registration takes')
    .option(...NODE)
    .option(...KEY)
    .action(action(show))
  bond
    .command('add')
    .description('add to the bond; to the node of another operator with --yes')
    .argument('<tokens>', '', positiveTokens)
    .option(...NODE)
    .option(...KEY)
    .option(...DRY)
    .option('--yes', 'give the tokens to the operator of the node, where that is another account')
    .option(...REFERENCE)
    .action(action(add))

  program
    .command('place')
    .description('change where the antenna is; shows the fee, and takes it with --yes')
    .option(...CELL)
    .option(...AT)
    .option(...COARSE_AT)
    .option(...REGION)
    .option(...SUB_BAND)
    .option(...GAIN)
    .option(...NODE)
    .option(...KEY)
    .option('--yes', 'pay the fee')
    .option(...REFERENCE)
    .action(action(place))

  program
    .command('offer')
    .description('change the account that rewards go to, or what the node offers')
    .option(...PAYOUT, accountGiven)
    .option(...KINDS_GIVEN)
    .option(...NODE)
    .option(...KEY)
    .option(...DRY)
    .action(action(offer))

  const exit = program
    .command('exit')
    .description('take this node out of the network, in two steps')
  exit
    .command('show', { isDefault: true })
    .description('say what an exit would do, or how far it is')
    .option(...NODE)
    .option(...KEY)
    .action(action(showExit))
  exit
    .command('request')
    .description('first: ask to leave')
    .option(...NODE)
    .option(...KEY)
    .option(...DRY)
    .action(action(requestExit))
  exit
    .command('withdraw')
    .description('then: take the bond back, once it is free')
    .option(...NODE)
    .option(...KEY)
    .option(...DRY)
    .action(action(withdraw))
}

async function register(session: Session, options: RegisterOptions) {
  const { values } = await session.config()
  const { key, dryRun } = options
  const kinds = options.kinds ?? kindsOf(values, key)
  const hasAntenna = ((kinds >>> COVERAGE) & 1) === 1
  const cell = cellOf(options)
  check(!hasAntenna || cell !== undefined, 'usage', 'a gateway is registered with its place', {
    next: 'pass --at LATITUDE,LONGITUDE or --cell, or --kinds storage for a node without antenna',
  })
  const antenna = hasAntenna
    ? { ...antennaOf(values, key), ...given(options) }
    : { region: 0, subBand: 0, gain: 0 }
  await withDesk(session, async desk => {
    const done = await desk.order(
      {
        act: 'register',
        cell: cell ?? 0n,
        ...antenna,
        kinds,
        bond: options.bond,
        payout: options.payout === undefined ? undefined : unhex(options.payout),
      },
      { key, dryRun },
    )
    const { node } = done
    const text =
      node === undefined
        ? [
            `would register this node with a bond of ${unitsText(BigInt(done.tokens))} tokens`,
            `  offers          ${kindNames(kinds)}; ${antennaText({ cell: cell ?? 0n, ...antenna })}`,
            `  rewards go to   0x${options.payout ?? (await desk.standing({ key })).account}`,
          ].join('\n')
        : done.done === 'before'
          ? `this is node ${node.index} already, with a bond of ${unitsText(BigInt(node.bond))} tokens`
          : `registered as node ${node.index}, with a bond of ${unitsText(BigInt(node.bond))} tokens`
    const next =
      done.done === 'dryRun'
        ? []
        : [
            'it takes part once the base of an epoch holds it: run `cairn start`, see `cairn status`',
          ]
    tell(session, done, [text, ...next])
  })
  return undefined
}

async function show(session: Session, chosen: Chosen) {
  await withDesk(session, async desk => {
    const standing = await desk.standing(chosen)
    const { node, account, ether, tokens, leastBond, placeFee } = standing
    session.output.result(
      standing,
      [
        `account 0x${account}`,
        `  holds           ${unitsText(BigInt(ether))} ether, ${unitsText(BigInt(tokens))} tokens`,
        ...(node === undefined
          ? [
              'not registered',
              `  least bond      ${unitsText(BigInt(leastBond))} tokens`,
              '  register it with `cairn register`',
            ]
          : nodeLines(node, account)),
        `  a new place     ${unitsText(BigInt(placeFee))} tokens`,
      ].join('\n'),
    )
  })
  return undefined
}

async function add(
  session: Session,
  amount: bigint,
  { dryRun, reference, yes, ...chosen }: Chosen & Dry & Referred & { yes?: true },
) {
  const { signal } = session
  await withDesk(session, async desk => {
    const standing = await desk.standing(chosen)
    requireGift(standing, yes === true || dryRun === true)
    const stranger = strangerOf(standing)
    const done = await payOnce({ reference, signal }, async under =>
      desk.order({ act: 'bond', amount }, { ...chosen, dryRun, reference: under }),
    )
    const node = nodeOf(done)
    const text =
      done.done === 'dryRun'
        ? `would add ${unitsText(amount)} tokens to the ${unitsText(BigInt(node.bond))} of node ${node.index}${stranger === undefined ? '' : `, which is of 0x${stranger}, who alone has its bond back`}`
        : `node ${node.index} has a bond of ${unitsText(BigInt(node.bond))} tokens`
    tell(session, done, [text])
  })
  return undefined
}

async function place(session: Session, options: Placed & Chosen & Referred & { yes?: true }) {
  const { node, key, yes, reference } = options
  const { signal } = session
  const cell = cellOf(options)
  const named = { ...(cell === undefined ? {} : { cell }), ...given(options) }
  check(Object.keys(named).length > 0, 'usage', 'nothing to change is named', {
    next: 'pass --at, --cell, --region, --sub-band or --gain',
  })
  const { values } = await session.config()
  await withDesk(session, async desk => {
    const { node: found } = await desk.standing({ node, key })
    // A node that was registered without antenna has no plan yet.
    const antenna = found?.region === 0 ? antennaOf(values, key) : {}
    const wish = { ...antenna, ...named }
    const done = await payOnce({ reference, signal }, async under =>
      desk.order({ act: 'place', ...wish }, { node, key, dryRun: yes !== true, reference: under }),
    )
    const { index, kinds, ...registered } = nodeOf(done)
    const idle =
      ((kinds >>> COVERAGE) & 1) === 1
        ? []
        : [
            `  the place matters to coverage only, which node ${index} does not offer: \`cairn offer --kinds\` changes that`,
          ]
    const where = antennaText({ ...registered, ...wish })
    const text = {
      before: `node ${index} ${done.orderedAt === undefined ? 'is registered there already' : 'was ordered there before'}`,
      dryRun: `node ${index} would move for ${unitsText(BigInt(done.tokens))} tokens, which are burned; pass --yes to pay them\n  to              ${where}`,
      now: `node ${index} is registered there: it counts from the epoch on whose base holds it`,
    }[done.done]
    tell(session, done, [text, ...idle])
  })
  return undefined
}

async function offer(session: Session, options: Offered & Chosen & Dry) {
  const { payout, kinds, dryRun, ...chosen } = options
  check(payout !== undefined || kinds !== undefined, 'usage', 'nothing to change is named', {
    next: 'pass --payout or --kinds',
  })
  await withDesk(session, async desk => {
    const wish = { kinds, ...(payout === undefined ? {} : { payout: unhex(payout) }) }
    const done = await desk.order({ act: 'offer', ...wish }, { ...chosen, dryRun })
    const node = nodeOf(done)
    const state = `offers ${kindNames(node.kinds)}, rewards go to 0x${node.payout}`
    const text = {
      before: `node ${node.index} ${state} already`,
      dryRun: `node ${node.index} would offer ${kindNames(kinds ?? node.kinds)}, rewards would go to 0x${payout === undefined ? node.payout : hex(unhex(payout))}\n  at present it ${state}`,
      now: `node ${node.index} ${state}: it counts from the epoch on whose base holds it`,
    }[done.done]
    tell(session, done, [text])
  })
  return undefined
}

async function showExit(session: Session, chosen: Chosen) {
  await withDesk(session, async desk => {
    const standing = await desk.standing(chosen)
    const { node, exitDelay } = standing
    check(node !== undefined, 'notRegistered', 'this node is not registered', {
      next: 'there is nothing to leave',
    })
    const bond = unitsText(BigInt(node.bond))
    const stranger = strangerOf(standing)
    const lines = {
      registered: [
        `node ${node.index} takes part, with a bond of ${bond} tokens`,
        stranger === undefined
          ? `  \`cairn exit request\` takes it out of every epoch that begins after; the bond is free ${durationText(exitDelay)} later`
          : `  only its operator 0x${stranger} takes it out, and has the bond back; this account is 0x${standing.account}`,
        ...EXIT_KEEPS,
      ],
      leaving: [
        `node ${node.index} asked to leave at ${time(node.exitAt)}`,
        `  its bond of ${bond} tokens is free at ${time(node.returnsAt)}: ${stranger === undefined ? 'then run `cairn exit withdraw`' : `only its operator 0x${stranger} has it back`}`,
        ...EXIT_KEEPS,
      ],
      left: [`node ${node.index} has left, and its bond is with its operator again`],
    }[node.state]
    session.output.result({ node, exitDelay }, lines.join('\n'))
  })
  return undefined
}

const EXIT_KEEPS = [
  '  kept: what it earned, which `cairn claim` pays at any time; the bond, unless a penalty is proven before it is taken back',
  '  lost: its deals, which pay nothing more: end them with `cairn deals end` before; the keys, which are never registered again',
]

async function requestExit(session: Session, { dryRun, ...chosen }: Chosen & Dry) {
  await withDesk(session, async desk => {
    const done = await desk.order({ act: 'exit' }, { ...chosen, dryRun })
    const node = nodeOf(done)
    const when = `the bond of ${unitsText(BigInt(node.bond))} tokens is free at ${time(node.returnsAt)}: then run \`cairn exit withdraw\``
    const text =
      done.done === 'dryRun'
        ? [`node ${node.index} would leave`, ...EXIT_KEEPS]
        : node.state === 'left'
          ? [`node ${node.index} has left already`]
          : [
              `node ${node.index} ${done.done === 'before' ? 'had asked' : 'asked'} to leave: it is in no epoch that begins after ${time(node.exitAt)}`,
              `  ${when}`,
              '  keep the daemon running until the epochs that have begun are settled',
            ]
    tell(session, done, text)
  })
  return undefined
}

async function withdraw(session: Session, { dryRun, ...chosen }: Chosen & Dry) {
  await withDesk(session, async desk => {
    const before = BigInt((await desk.standing(chosen)).node?.bond ?? 0n)
    const done = await desk.order({ act: 'withdraw' }, { ...chosen, dryRun })
    const { index } = nodeOf(done)
    const text = {
      before: `the bond of node ${index} was taken back before`,
      dryRun: `would take back ${unitsText(before)} tokens`,
      now: `took back ${unitsText(before)} tokens; node ${index} has left`,
    }[done.done]
    tell(session, done, [text])
  })
  return undefined
}

async function withDesk(session: Session, use: (desk: Desk) => Promise<void>): Promise<void> {
  const desk = await openDesk(session)
  try {
    await use(desk)
  } finally {
    await desk.close()
  }
}

function tell({ output }: Session, done: Json<Done>, lines: readonly string[]): void {
  const { gas, fee, transaction } = done
  const cost = `${gas} gas, ${unitsText(BigInt(fee))} ether`
  const paid =
    done.done === 'before'
      ? done.orderedAt === undefined
        ? []
        : [
            `  paid before under this reference, at ${new Date(done.orderedAt).toISOString()}: nothing was sent now`,
            `  it cost ${cost}, transaction ${transaction}`,
          ]
      : done.done === 'dryRun'
        ? [`  costs about ${cost}, as a rule somewhat less; nothing was sent`]
        : [`  cost ${cost}, transaction ${transaction}`]
  output.result(done, [...lines, ...paid].join('\n'))
}

function nodeOf({ node }: Json<Done>): NonNullable<Json<Done>['node']> {
  if (node !== undefined) return node
  throw new CairnError('notRegistered', 'this node is not registered', {
    next: 'register it with `cairn register`',
  })
}

function nodeLines(
  node: NonNullable<Json<OperatorStanding>['node']>,
  account: Json<OperatorStanding>['account'],
): string[] {
  const { index, bond, kinds, payout, state, returnsAt, operator } = node
  const whose =
    operator === account
      ? 'this account'
      : 'not this account: only the operator changes the node and has the bond back'
  return [
    `node ${index}, ${state === 'leaving' ? `leaving, its bond is free at ${time(returnsAt)}` : state}`,
    `  bond            ${unitsText(BigInt(bond))} tokens`,
    `  operator        0x${operator}, ${whose}`,
    `  offers          ${kindNames(kinds)}; ${antennaText(node)}`,
    `  rewards go to   0x${payout}`,
  ]
}

interface Antenna {
  cell: bigint | string
  region: number
  gain: number
}

function antennaText({ cell, region, gain }: Antenna): string {
  if (BigInt(cell) === 0n) return 'no place'
  const plan = REGIONAL_PLANS.find(({ code }) => code === region)
  return `cell ${BigInt(cell).toString(16)}, ${plan?.name ?? `region ${region}`}, gain ${gain / 10} dBi`
}

function kindNames(kinds: number): string {
  const names = KINDS.filter(({ code }) => ((kinds >>> code) & 1) === 1).map(({ name }) => name)
  return names.length === 0 ? 'nothing' : names.join(' and ')
}

/** By what the configuration offers; a further gateway has its antenna alone. */
function kindsOf(values: Values, key: number | undefined): number {
  if (key !== undefined && key !== 0) return 1 << COVERAGE
  const disk = values['storage.quota'] > 0 || values['storage.volumes'].length > 0
  return (disk ? 1 << STORAGE : 0) | (values['radio.port'] === 0 ? 0 : 1 << COVERAGE)
}

function antennaOf(values: Values, key = 0) {
  const set = gatewaysOf(values).find(gateway => gateway.key === key)
  const { region, gain } = set ?? { region: values['radio.region'], gain: values['radio.gain'] }
  return { region: regionalPlan(region).code, subBand: 0, gain }
}

function given({ region, subBand, gain }: Placed) {
  return {
    ...(region === undefined ? {} : { region: regionalPlan(region).code }),
    ...(subBand === undefined ? {} : { subBand }),
    ...(gain === undefined ? {} : { gain }),
  }
}

function cellOf({ cell, at, coarse }: Placed): bigint | undefined {
  check(at === undefined || cell === undefined, 'usage', '--cell and --at both name a place', {
    next: 'pass one of them',
  })
  if (at === undefined) return cell
  const [lat, lng] = at
  return cellAt(lat, lng, coarse === true ? COARSE : FINE)
}

function cellGiven(text: string): bigint {
  if (/^[0-9a-f]{15,16}$/i.test(text)) return BigInt(`0x${text}`)
  throw new InvalidArgumentError('expected an H3 cell in hexadecimal, such as 8c08d1800625bff')
}

function placeGiven(text: string): [number, number] {
  const [, lat, lng] = text.match(/^(-?[0-9]{1,2}(?:\.[0-9]+)?),(-?[0-9]{1,3}(?:\.[0-9]+)?)$/) ?? []
  if (lat !== undefined && lng !== undefined) return [Number(lat), Number(lng)]
  throw new InvalidArgumentError('expected degrees, such as 64.9916,25.4320')
}

function regionGiven(text: string): string {
  if (REGIONAL_PLANS.some(({ name }) => name === text)) return text
  throw new InvalidArgumentError(`expected ${REGIONAL_PLANS.map(({ name }) => name).join(', ')}`)
}

function gainGiven(text: string): number {
  if (/^-?[0-9]{1,4}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected tenths of dBi, such as 21 for 2.1 dBi')
}

function kindsGiven(text: string): number {
  if (text === 'none') return 0
  return text.split(',').reduce((kinds, name) => {
    const kind = KINDS.find(known => known.name === name)
    if (kind === undefined) throw new InvalidArgumentError('expected storage, coverage or none')
    return kinds | (1 << kind.code)
  }, 0)
}

function time(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replace('.000Z', 'Z')
}
