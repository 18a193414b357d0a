/**
 * Every setting, in one table: types, defaults, environment names, the sample file and the
 * reference page follow from it.
 */
import { join } from 'node:path'
import { EU868, REGIONAL_PLANS, TOKEN, unitsGiven } from '@cairn/protocol'
import { z } from 'zod'

export interface DefaultsFrom {
  home: string
  dataDir: string
}

export interface Key<S extends z.ZodType = z.ZodType> {
  /** Takes the text of a flag or variable, and what YAML makes of it. */
  readonly schema: S
  readonly default: (from: DefaultsFrom) => unknown
  /** The default as the reference shows it. */
  readonly shown: string
  readonly help: string
  /** Not in the file: the file lies in the data directory. */
  readonly notInFile?: true
  /** May hold a credential: never a flag, never printed. */
  readonly secret?: true
}

/** A place for pieces, and the bytes that they may take there. */
export interface OfferedPlace {
  location: string
  quotaBytes: number
}

/** A gateway of several, as it is set. */
export interface SetGateway {
  /** Number of its node's keys among those of the words; 0: the daemon's own. */
  key: number
  /** Lower case. */
  eui: string
  region?: string
  /** 0.1 dBi. */
  gain?: number
}

const LIST_MAX = 64
/** More keys than gateways may have been used up. */
const KEY_MAX = 65_535
const PORT_MAX = 65_535

const text = z.string().trim().min(1).max(4096)
const port = z.coerce.number('expected a port number').int().min(0).max(PORT_MAX)
const whole = (min: number, max: number) =>
  z.coerce.number('expected a whole number').int().min(min).max(max)
const flag = z.union([z.boolean(), z.stringbool()], 'expected true or false')
const multiaddr = z
  .string()
  .regex(/^\/[a-z0-9]+\//, 'expected a multiaddr, such as /ip4/0.0.0.0/tcp/4131')
const url = z.url({ protocol: /^(https?|wss?)$/, error: 'expected an http(s) or ws(s) URL' })
const broker = z
  .url({ protocol: /^(mqtts?|wss?)$/, error: 'expected an mqtt(s) or ws(s) URL' })
  .refine(
    address => new URL(address).username === '',
    'expected no credentials: set radio.mqtt.username and radio.mqtt.password',
  )

const region = z.enum(REGIONAL_PLANS.map(plan => plan.name))
const gain = whole(-300, 600)
/** YAML reads digits alone as a number, and loses what does not fit one. */
const eui = z
  .string('expected 16 hexadecimal digits, in quotes')
  .regex(/^[0-9a-f]{16}$/i, 'expected 16 hexadecimal digits')

const gateway = z.preprocess(
  gatewayOf,
  z.strictObject({
    key: whole(0, KEY_MAX),
    eui: eui.toLowerCase(),
    region: region.optional(),
    gain: gain.optional(),
  }),
)

export const KEYS = {
  dataDir: {
    schema: text,
    default: ({ home }) => join(home, '.cairn'),
    shown: '~/.cairn',
    help: 'Directory that holds keys, ledger and pieces; one per network',
    notInFile: true,
  },
  network: {
    schema: text,
    default: ({ dataDir }) => join(dataDir, 'network.json'),
    shown: '<dataDir>/network.json',
    help: 'The network manifest',
  },
  logLevel: {
    schema: z.enum(['error', 'warn', 'info', 'debug']),
    default: () => 'info',
    shown: 'info',
    help: 'Least severe messages that are logged',
  },
  'p2p.listen': {
    schema: list(multiaddr),
    default: () => ['/ip4/0.0.0.0/tcp/4131'],
    shown: '/ip4/0.0.0.0/tcp/4131',
    help: 'Multiaddrs to listen on',
  },
  'p2p.announce': {
    schema: list(multiaddr),
    default: () => [],
    shown: '',
    help: 'Multiaddrs to announce instead of those listened on, as behind a port forwarding',
  },
  'p2p.bootstrap': {
    schema: list(multiaddr),
    default: () => [],
    shown: '',
    help: "Peers to meet first, besides the manifest's",
  },
  'p2p.privateAddresses': {
    schema: flag,
    default: () => false,
    shown: 'false',
    help: 'Find peers at private and loopback addresses; by default where all bootstrap peers of the manifest have such',
  },
  'chain.rpc': {
    schema: list(url),
    default: () => [],
    shown: '',
    help: "RPC endpoints instead of the manifest's, tried in this order",
    secret: true,
  },
  'chain.agree': {
    schema: whole(1, LIST_MAX),
    default: () => 1,
    shown: '1',
    help: 'RPC endpoints that must have the same newest final block before it is believed; of those that answer none may contradict, or a majority decides',
  },
  'chain.callsPerSecond': {
    schema: whole(0, 100_000),
    default: () => 0,
    shown: '0',
    help: 'Calls that each RPC endpoint is asked in a second at most; 0: no limit of this node’s own',
  },
  'chain.budgetPerDay': {
    schema: z.union([z.number(), z.string()]).transform(etherOf),
    default: () => 0n,
    shown: '0',
    help: 'Ether that the node may pay for gas in a day (UTC); claims take at most half of it, checkpoints and penalties all; 0: no limit',
  },
  'chain.maxGasPrice': {
    schema: whole(1, 1_000_000),
    default: () => 500,
    shown: '500',
    help: 'Gwei that a unit of gas may cost; while it costs more, nothing is sent',
  },
  'api.port': {
    schema: port,
    default: () => 4140,
    shown: '4140',
    help: 'Port of the HTTP API on 127.0.0.1; 0: any free one',
  },
  'storage.quota': {
    schema: z.union([z.number(), z.string()]).transform(bytesOf),
    default: () => 0,
    shown: '0',
    help: 'Disk to offer in storage.directory, such as `500 GB` or `2 TiB`; 0: none',
  },
  'storage.directory': {
    schema: text,
    default: ({ dataDir }) => join(dataDir, 'pieces'),
    shown: '<dataDir>/pieces',
    help: 'Where these pieces are kept',
  },
  'storage.volumes': {
    schema: list(z.string().transform(volumeOf)),
    default: () => [],
    shown: '',
    help: 'More volumes, each as `PLACE=QUOTA`: a directory such as `/mnt/disk2=4 TB`, or a bucket such as `https://s3.example.org/bucket=20 TB`',
  },
  'storage.s3AccessKeyId': {
    schema: z.string().trim().max(4096),
    default: () => '',
    shown: '',
    help: 'Key of the buckets in storage.volumes',
    secret: true,
  },
  'storage.s3SecretAccessKey': {
    schema: z.string().trim().max(4096),
    default: () => '',
    shown: '',
    help: 'Its secret',
    secret: true,
  },
  'storage.s3Region': {
    schema: text,
    default: () => 'auto',
    shown: 'auto',
    help: 'Region that requests to the buckets are signed for',
  },
  'storage.price': {
    schema: z.union([z.number(), z.string()]).transform(tokensOf),
    default: () => TOKEN / 1_000n,
    shown: '0.001',
    help: 'Asked per GiB and epoch, tokens',
  },
  'storage.longestDeal': {
    schema: whole(0, 2 ** 32 - 1),
    default: () => 0,
    shown: '0',
    help: 'Epochs that one deal may last; 0: any number',
  },
  'storage.largestPiece': {
    schema: z.union([z.number(), z.string()]).transform(bytesOf),
    default: () => 1024 ** 3,
    shown: '1 GiB',
    help: 'Largest piece to take, such as `64 MiB`',
  },
  'scrub.days': {
    schema: whole(1, 365),
    default: () => 14,
    shown: '14',
    help: 'Days in which every kept piece is read and hashed again',
  },
  'client.maxPrice': {
    schema: z.union([z.number(), z.string()]).transform(tokensOf),
    default: () => TOKEN,
    shown: '1',
    help: 'Paid per GiB and epoch at most, tokens, when a provider asks for more than the network’s price',
  },
  'client.releaseProviders': {
    schema: flag,
    default: () => false,
    shown: 'false',
    help: 'Let providers out of deals of this node when they ask',
  },
  'radio.port': {
    schema: port,
    default: () => 0,
    shown: '0',
    help: 'UDP port for a Semtech packet forwarder (usually 1700); 0: no radio',
  },
  'radio.host': {
    schema: text,
    default: () => '127.0.0.1',
    shown: '127.0.0.1',
    help: 'Address that the packet forwarder reaches',
  },
  'radio.eui': {
    schema: z.union([z.literal(''), eui], 'expected 16 hexadecimal digits, in quotes'),
    default: () => '',
    shown: '',
    help: "The gateway's EUI, where there is one; empty: the first that is heard",
  },
  'radio.region': {
    schema: region,
    default: () => EU868.name,
    shown: EU868.name,
    help: 'Regional plan whose limits the transmitter keeps',
  },
  'radio.gain': {
    schema: gain,
    default: () => 0,
    shown: '0',
    help: 'Antenna gain less cable loss, 0.1 dBi',
  },
  'radio.gateways': {
    schema: list(gateway),
    default: () => [],
    shown: '',
    help: 'Several gateways instead of radio.eui, each as `KEY=EUI`, and `KEY=EUI/REGION/GAIN` where it differs from radio.region and radio.gain; KEY 0 is the node itself, others are nodes of their own from the same words (`cairn gateways`)',
  },
  'radio.mqtt.url': {
    schema: z.union([z.literal(''), broker]),
    default: () => '',
    shown: '',
    help: 'MQTT broker of a LoRaWAN network server, such as `mqtt://127.0.0.1:1883`: uplinks are handed on to it; empty: none',
  },
  'radio.mqtt.prefix': {
    schema: z
      .string()
      .trim()
      .regex(/^[^+#]{0,64}$/, 'expected a topic without + and #'),
    default: () => '',
    shown: '',
    help: "First part of its topics, as the server names the region, such as `us915_0`; empty: the name of each gateway's plan, such as `eu868`",
  },
  'radio.mqtt.username': {
    schema: z.string().trim().max(4096),
    default: () => '',
    shown: '',
    help: 'User at the MQTT broker',
  },
  'radio.mqtt.password': {
    schema: z.string().trim().max(4096),
    default: () => '',
    shown: '',
    help: 'Password at the MQTT broker',
    secret: true,
  },
} as const satisfies Record<string, Key>

export type KeyName = keyof typeof KEYS
export type Values = { [K in KeyName]: z.output<(typeof KEYS)[K]['schema']> }

export const KEY_NAMES = Object.keys(KEYS) as KeyName[]

/** `p2p.privateAddresses` is CAIRN_P2P_PRIVATE_ADDRESSES. */
export function environmentName(name: string): string {
  return `CAIRN_${name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('.', '_')
    .toUpperCase()}`
}

function list<S extends z.ZodType>(item: S) {
  const split = (value: unknown) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map(part => part.trim())
          .filter(Boolean)
      : value
  return z.preprocess(split, z.array(item).max(LIST_MAX))
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
}

function bytesOf(value: string | number, context: z.RefinementCtx): number {
  const [, digits, unit] =
    String(value)
      .trim()
      .match(/^([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)$/i) ?? []
  const factor = UNITS[unit?.toLowerCase() ?? '']
  const bytes = factor === undefined ? Number.NaN : Math.floor(Number(digits) * factor)
  if (Number.isSafeInteger(bytes)) return bytes
  context.addIssue({ code: 'custom', message: 'expected bytes, such as `500 GB` or `2 TiB`' })
  return z.NEVER
}

/** `1=0016c001f00d0002/EU868/20`, or the same as a map of the file. */
function gatewayOf(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const [name = '', ...rest] = value.split('/')
  const [key, eui = ''] = name.split('=')
  const gain = rest.find(part => /^-?[0-9]+$/.test(part))
  const regions = rest.filter(part => part !== gain)
  return {
    key,
    eui,
    ...(regions.length === 0 ? {} : { region: regions.join('/') }),
    ...(gain === undefined ? {} : { gain }),
  }
}

/** The quota comes last: an address may hold `=`, a size does not. */
function volumeOf(value: string, context: z.RefinementCtx): OfferedPlace {
  const [, location, quota] = value.match(/^(.+)=([^=]+)$/) ?? []
  const quotaBytes = quota === undefined ? 0 : bytesOf(quota, context)
  if (location !== undefined && quotaBytes > 0) return { location: location.trim(), quotaBytes }
  context.addIssue({ code: 'custom', message: 'expected PLACE=QUOTA, such as `/mnt/disk2=4 TB`' })
  return z.NEVER
}

/** Decimal tokens in base units. */
function tokensOf(value: string | number, context: z.RefinementCtx): bigint {
  return unitsOf(value, context, 'expected tokens, such as `0.001`')
}

function etherOf(value: string | number, context: z.RefinementCtx): bigint {
  return unitsOf(value, context, 'expected ether, such as `0.01`')
}

function unitsOf(value: string | number, context: z.RefinementCtx, message: string): bigint {
  const units = unitsGiven(String(value).trim())
  if (units !== undefined) return units
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}
