/**
 * Events and commands of a gateway as ChirpStack 4 writes them in JSON: the protobuf mapping of its
 * `gw.proto`, in which fields of value zero are left out, bytes are base64 and durations end in `s`.
 */
import {
  CairnError,
  type ForwarderStat,
  type Modulation,
  type RegionalPlan,
  type Txpk,
} from '@cairn/protocol'
import { z } from 'zod'
import { issuesText } from '../issues.ts'
import type { HeardPacket, HeardStat } from './heard.ts'

/** What one command may hold, and how many places its frame may be tried at: RX1, RX2 and some. */
export const COMMAND_MAX_BYTES = 16 * 1024
const ITEMS_MAX = 8

const COUNTER = 2n ** 32n

/** What becomes of one item of a downlink. */
export const TX_STATUSES = [
  'IGNORED',
  'OK',
  'TOO_LATE',
  'TOO_EARLY',
  'COLLISION_PACKET',
  'COLLISION_BEACON',
  'TX_FREQ',
  'TX_POWER',
  'GPS_UNLOCKED',
  'QUEUE_FULL',
  'INTERNAL_ERROR',
  'DUTY_CYCLE_OVERFLOW',
] as const
export type TxStatus = (typeof TX_STATUSES)[number]

export interface Downlink {
  id: number
  /** In the order in which they are tried; `power` is EIRP, dBm. */
  items: readonly Txpk[]
}

export const EVENTS = ['up', 'stats', 'ack'] as const

/** A regional plan as its default configuration names it: `eu868`, `as923` for AS923-1, `as923_2`. */
export function regionTopic({ name }: Pick<RegionalPlan, 'name'>): string {
  return name.toLowerCase().replace(/-1$/, '').replace('-', '_')
}

export function eventTopic(prefix: string, eui: string, event: (typeof EVENTS)[number]): string {
  return `${prefix}/gateway/${eui}/event/${event}`
}

export function commandTopic(prefix: string, eui: string): string {
  return `${prefix}/gateway/${eui}/command/down`
}

/** `UplinkFrame`; `id` tells apart what one gateway heard. */
export function uplinkEvent({ eui, packet, at }: HeardPacket, id: number): string {
  const { payload, frequency, modulation, rssi, snr, tmst, tmms, ftime, time } = packet
  const antenna = packet.antennas?.reduce((best, next) => (next.rssi > best.rssi ? next : best))
  const channel = antenna?.channel ?? packet.channel
  return json({
    phyPayload: base64(payload),
    txInfo: { frequency, modulation: modulationOf(modulation, packet.codingRate) },
    rxInfo: {
      gatewayId: eui,
      uplinkId: id,
      gwTime: time === undefined ? undefined : microTime(time),
      nsTime: new Date(at).toISOString(),
      timeSinceGpsEpoch: tmms === undefined ? undefined : seconds(tmms, 3),
      fineTimeSinceGpsEpoch:
        tmms === undefined || ftime === undefined
          ? undefined
          : seconds((tmms / 1_000n) * 1_000_000_000n + BigInt(ftime), 9),
      rssi: Math.round(rssi / 10),
      snr: snr === undefined ? undefined : snr / 10,
      channel,
      rfChain: packet.chain,
      board: packet.board,
      antenna: antenna?.antenna,
      context: contextOf(tmst),
      crcStatus: 'CRC_OK',
    },
  })
}

/** `GatewayStats`: what the forwarder counted since its last report. */
export function statsEvent({ eui, stat, at }: HeardStat): string {
  return json({
    gatewayId: eui,
    time: new Date(stat.time ?? at).toISOString(),
    location: locationOf(stat),
    rxPacketsReceived: stat.received,
    rxPacketsReceivedOk: stat.receivedOk,
    txPacketsReceived: stat.downlinks,
    txPacketsEmitted: stat.transmitted,
  })
}

/** `DownlinkTxAck`: a status for each item, in their order. */
export function ackEvent(eui: string, id: number, statuses: readonly TxStatus[]): string {
  const items = statuses.map(status => (status === 'IGNORED' ? {} : { status }))
  return json({ gatewayId: eui, downlinkId: id, items })
}

/** `DownlinkFrame`. Errors: `badCommand`. */
export function readDownlink(payload: Uint8Array): Downlink {
  if (payload.length > COMMAND_MAX_BYTES) throw bad(`more than ${COMMAND_MAX_BYTES} bytes`)
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch (cause) {
    throw bad('expected JSON: set the JSON marshaler for this region', cause)
  }
  const result = DownlinkFrame.safeParse(value)
  if (!result.success) throw bad(issuesText(result.error))
  const { downlinkId, items } = result.data
  return { id: downlinkId, items: items.map(txpkOf) }
}

const u32 = z.int().min(0).max(0xffff_ffff)
const bytes = z.base64().max(512)
const duration = z.string().regex(/^\d{1,12}(\.\d{1,9})?s$/, 'expected seconds, such as 1s')

const Lora = z.object({
  bandwidth: z.union([z.literal(125_000), z.literal(250_000), z.literal(500_000)]),
  spreadingFactor: z.int().min(7).max(12),
  codeRate: z.templateLiteral(['CR_4_', z.enum(['5', '6', '7', '8'])]).default('CR_4_5'),
  polarizationInversion: z.boolean().default(false),
  preamble: z.int().min(0).max(65_535).optional(),
  noCrc: z.boolean().optional(),
})

const DownlinkItem = z.object({
  phyPayload: bytes,
  txInfo: z.object({
    frequency: u32,
    power: z.int().min(-128).max(127).default(0),
    modulation: z.union(
      [
        z.object({ lora: Lora }),
        z.object({
          fsk: z.object({ datarate: u32.min(1), frequencyDeviation: u32.default(0) }),
        }),
      ],
      'expected lora or fsk',
    ),
    timing: z.union(
      [
        z.object({ delay: z.object({ delay: duration }) }),
        z.object({ gpsEpoch: z.object({ timeSinceGpsEpoch: duration }) }),
        z.object({ immediately: z.object({}) }),
      ],
      'expected delay, gpsEpoch or immediately',
    ),
    context: bytes.optional(),
  }),
})

const DownlinkFrame = z.object({
  downlinkId: u32.default(0),
  items: z.array(DownlinkItem).min(1).max(ITEMS_MAX),
})

function txpkOf({ phyPayload, txInfo }: z.infer<typeof DownlinkItem>): Txpk {
  const { frequency, power, modulation } = txInfo
  const head = {
    payload: Buffer.from(phyPayload, 'base64'),
    frequency,
    power,
    when: whenOf(txInfo),
  }
  if ('fsk' in modulation) {
    const { datarate: bitrate, frequencyDeviation } = modulation.fsk
    // As the gateway bridge has it: half of the rate where none is told.
    const deviation = frequencyDeviation === 0 ? Math.floor(bitrate / 2) : frequencyDeviation
    return { ...head, modulation: { name: 'FSK', bitrate }, deviation }
  }
  const { bandwidth, spreadingFactor, codeRate, polarizationInversion, preamble, noCrc } =
    modulation.lora
  return {
    ...head,
    modulation: { name: 'LORA', spreadingFactor, bandwidth: bandwidth / 1_000 },
    codingRate: codeRate.slice(3).replace('_', '/'),
    inverted: polarizationInversion,
    ...(preamble !== undefined && preamble > 0 && { preamble }),
    ...(noCrc !== undefined && { noCrc }),
  }
}

function whenOf({ timing, context = '' }: z.infer<typeof DownlinkItem>['txInfo']): Txpk['when'] {
  if ('immediately' in timing) return 'now'
  if ('gpsEpoch' in timing) {
    return { tmms: nanoseconds(timing.gpsEpoch.timeSinceGpsEpoch) / 1_000_000n }
  }
  const heard = Buffer.from(context, 'base64')
  if (heard.length !== 4) throw bad('context: expected the four bytes of the uplink')
  const due = BigInt(heard.readUInt32BE()) + nanoseconds(timing.delay.delay) / 1_000n
  return { tmst: Number(due % COUNTER) }
}

function modulationOf(modulation: Modulation, codingRate = '4/5'): object {
  if (modulation.name === 'FSK') return { fsk: { datarate: modulation.bitrate } }
  const { spreadingFactor, bandwidth } = modulation
  const codeRate = /^4\/[5-8]$/.test(codingRate) ? `CR_${codingRate.replace('/', '_')}` : undefined
  return { lora: { bandwidth: bandwidth * 1_000, spreadingFactor, codeRate } }
}

function locationOf({ latitude, longitude, altitude }: ForwarderStat): object | undefined {
  if (latitude === undefined || longitude === undefined) return undefined
  return { latitude, longitude, altitude }
}

/** What a class A downlink brings back: the concentrator's count when the uplink ended. */
function contextOf(tmst: number): string {
  const context = Buffer.alloc(4)
  context.writeUInt32BE(tmst)
  return context.toString('base64')
}

function base64(payload: Uint8Array): string {
  return Buffer.from(payload).toString('base64')
}

function microTime(micros: bigint): string {
  const whole = new Date(Number(micros / 1_000_000n) * 1_000).toISOString().slice(0, 19)
  return `${whole}.${(micros % 1_000_000n).toString().padStart(6, '0')}Z`
}

/** A count of 10^-digits seconds as a protobuf duration. */
function seconds(count: bigint, digits: number): string {
  const text = count.toString().padStart(digits + 1, '0')
  const part = text.slice(-digits).replace(/0+$/, '')
  return `${text.slice(0, -digits)}${part === '' ? '' : `.${part}`}s`
}

function nanoseconds(duration: string): bigint {
  const [whole = '0', part = ''] = duration.slice(0, -1).split('.')
  return BigInt(whole) * 1_000_000_000n + BigInt(part.padEnd(9, '0'))
}

/** Without zeros and what is absent, as protobuf has it. */
function json(message: object): string {
  return JSON.stringify(message, (_, value) => (value === 0 ? undefined : value))
}

function bad(text: string, cause?: unknown): CairnError {
  return new CairnError('badCommand', `a downlink command: ${text}`, { cause })
}
