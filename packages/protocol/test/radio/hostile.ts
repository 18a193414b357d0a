/**
 * Datagrams that nobody sane sends: random bytes, random bytes behind a true head, and true
 * datagrams cut, spliced, with bytes, digits and words of their JSON replaced. From one seed.
 */
import { type Datagram, encodeDatagram, type Rxpk } from '@cairn/protocol'

/** A whole number below `limit`. */
export type Dice = (limit: number) => number

/** Marsaglia's xorshift32: the same hostility every time. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0 || 1
  return limit => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

/** The next hostile datagram; most carry `eui`, so that they get past the door. */
export function hostileDatagrams(dice: Dice, eui: string): () => Uint8Array {
  const real = realDatagrams(eui).map(datagram => encodeDatagram(datagram))
  const head = (real[0] as Uint8Array).subarray(0, HEAD_BYTES)
  return () => {
    const way = dice(8)
    if (way === 0) return randomBytes(dice, dice(200))
    if (way === 1) return behindHead(dice, head, randomBytes(dice, dice(200)))
    if (way === 2) return behindHead(dice, head, utf8.encode(wildJson(dice, 0)))
    return mutated(dice, real)
  }
}

const HEAD_BYTES = 12
const utf8 = new TextEncoder()

/** What JSON can say in a place where something else is expected. */
const WORDS = [
  'null',
  'true',
  '-1',
  '1e999',
  '-0',
  '4294967296',
  '0.0000001',
  '""',
  '"SF7BW125"',
  '"__proto__"',
  '[]',
  '{}',
  '[[]]',
  '{"rssic":-1}',
  '"\\ud800"',
  '"=AAA"',
]
const NAMES = ['rxpk', 'stat', 'txpk_ack', 'rsig', 'data', 'datr', 'freq', 'modu', '__proto__', 'x']

function packet(changes: Partial<Rxpk>): Rxpk {
  return {
    payload: new Uint8Array(25).fill(0xe0),
    frequency: 868_100_000,
    modulation: { name: 'LORA', spreadingFactor: 7, bandwidth: 125 },
    rssi: -1_000,
    rssis: -1_010,
    snr: 50,
    tmst: 7,
    crc: 'ok',
    codingRate: '4/5',
    time: 1_583_020_799_000_007n,
    channel: 1,
    chain: 0,
    ...changes,
  }
}

function realDatagrams(eui: string): Datagram[] {
  const head = { version: 2 as const, token: 1, eui }
  const { snr: _, ...bare } = packet({ payload: new Uint8Array(3) })
  const fsk: Rxpk = { ...bare, modulation: { name: 'FSK', bitrate: 50_000 } }
  const { rssis: __, ...levels } = packet({ rssi: -900, snr: 30 })
  const antennas = [{ antenna: 0, rssi: -900, snr: 30, encryptedTime: new Uint8Array(16) }]
  const stat = { time: 1_389_517_168_000, received: 2, acknowledged: 99.5, temperature: 23.2 }
  return [
    { ...head, id: 'pushData', rxpk: [packet({})], foreign: 0 },
    { ...head, id: 'pushData', rxpk: [packet({ tmst: 9 }), fsk], foreign: 0, stat },
    { ...head, id: 'pushData', rxpk: [{ ...levels, antennas }], foreign: 0 },
    { ...head, id: 'pushData', rxpk: [], foreign: 0, stat },
    { ...head, id: 'pullData' },
    { ...head, id: 'txAck' },
    { ...head, id: 'txAck', warn: 'TX_POWER', value: 12 },
    { ...head, version: 1, id: 'txAck', error: 'TOO_LATE' },
  ]
}

function randomBytes(dice: Dice, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => dice(256))
}

/** Either version, any token, any id that there is and one that is not. */
function behindHead(dice: Dice, head: Uint8Array, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + body.length)
  bytes.set(head)
  bytes.set([1 + dice(2), dice(256), dice(256), dice(7)])
  bytes.set(body, HEAD_BYTES)
  return bytes
}

function wildJson(dice: Dice, depth: number): string {
  const kind = depth > 4 ? 0 : dice(3)
  if (kind === 0) return WORDS[dice(WORDS.length)] as string
  const items = Array.from({ length: dice(4) }, () => wildJson(dice, depth + 1))
  if (kind === 1) return `[${items.join()}]`
  return `{${items.map(item => `"${NAMES[dice(NAMES.length)]}":${item}`).join()}}`
}

function mutated(dice: Dice, real: readonly Uint8Array[]): Uint8Array {
  const bytes = Uint8Array.from(real[dice(real.length)] as Uint8Array)
  const way = dice(5)
  if (way === 0) return bytes.subarray(0, dice(bytes.length + 1))
  if (way === 1) return spliced(dice, bytes, real[dice(real.length)] as Uint8Array)
  if (way === 2) return reworded(dice, bytes)
  for (let k = dice(6); k >= 0; k--) {
    const at = way === 3 ? dice(bytes.length) : Math.min(HEAD_BYTES + dice(300), bytes.length - 1)
    bytes[at] = way === 3 ? dice(256) : 0x20 + dice(0x60)
  }
  return bytes
}

function spliced(dice: Dice, one: Uint8Array, other: Uint8Array): Uint8Array {
  const [start, end] = [dice(one.length), dice(other.length)]
  return Uint8Array.of(...one.subarray(0, start), ...other.subarray(end))
}

/** One value of the JSON becomes another. */
function reworded(dice: Dice, bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(bytes.subarray(HEAD_BYTES))
  const values = [...text.matchAll(/:(-?[\d.]+|"[^"]*")/g)]
  const value = values[dice(Math.max(values.length, 1))]
  if (value === undefined) return bytes
  const word = WORDS[dice(WORDS.length)] as string
  const [start, end] = [value.index + 1, value.index + value[0].length]
  const body = utf8.encode(text.slice(0, start) + word + text.slice(end))
  return Uint8Array.of(...bytes.subarray(0, HEAD_BYTES), ...body)
}
