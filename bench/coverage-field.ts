/**
 * A town of gateways, some of which cheat, and what each round of beacons would be reported as. No
 * daemons and no messages: receptions alone, as the rules of settlement read them.
 *
 * Homes lie around six centres in a square of 30 km. Path loss, shadowing of links and fading of
 * frames are those of the testnet's field. Cheats come in groups of ten that share what they hear.
 */
import { chord, freeSpaceLoss, sensitivity, type Vector, vectorOf } from '@cairn/protocol'
import { meanPathLoss, OULU, Prng, shadowingSigma } from '@cairn/testnet'
import { latLngToCell } from 'h3-js'

export const CHEATS = [
  'spoofed',
  'room',
  'attenuated',
  'oneReceiver',
  'ring',
  'forged',
  'relayed',
  'overpowered',
  'mute',
  'deaf',
  'withheld',
] as const
export type Cheat = (typeof CHEATS)[number]

export interface FieldInit {
  seed: number
  gateways: number
  /** Share that cheats. */
  share: number
  /** Groups take turns over these. */
  kinds: readonly Cheat[]
  rounds: number
  roundEpochs: number
}

export interface Gateway {
  readonly node: number
  readonly cheat: Cheat | undefined
  readonly group: number
  /** Registered. */
  readonly cell: bigint
}

export interface Reception {
  readonly witness: number
  /** 0.1 dBm. */
  readonly level: number
  /** 0.1 dB. */
  readonly snr: number
  /** Metres between the registered cells. */
  readonly distance: number
  /** When the report would reach a server, ms: who is told is first. */
  readonly arrival: number
}

export interface Transmission {
  readonly epoch: number
  readonly beaconer: number
  readonly spreadingFactor: number
  /** EIRP as revealed, 0.1 dBm. */
  readonly power: number
  /** False: the beacon was asked for and never revealed. */
  readonly revealed: boolean
  readonly receptions: readonly Reception[]
}

export interface Town {
  readonly gateways: readonly Gateway[]
  readonly transmissions: readonly Transmission[]
}

const FREQUENCY = 868_100_000
const SIDE_METRES = 30_000
const CENTRES = 6
const SPREAD_METRES = 2_500
const GROUP = 10
const HOME = { lat: 49.2, lng: 16.6 }
const METRES_PER_DEGREE = 111_195
/** 0.1 dBi of every antenna, known to the registry. */
export const GAIN = 20
/** Between frames of one link, dB. */
const FADING = 1
/** What an attenuating group puts before each antenna, dB. */
const ATTENUATION = 25
/** What an over-powered transmitter adds to what it says, dB. */
const EXCESS = 12
/** How far a spoofed cell lies from the antenna at least, m. */
const SPOOFED_METRES = 3_000

export interface CrowdInit {
  gateways: number
  /** Of each beacon. */
  witnesses: number
  rounds: number
  roundEpochs: number
}

/** Honest gateways a kilometre apart, each heard by as many of those around it in every round. */
export function crowd({ gateways: count, witnesses, rounds, roundEpochs }: CrowdInit): Town {
  const random = chance(1)
  const side = Math.ceil(Math.sqrt(count))
  const at = (node: number) => ({ x: (node % side) * 1_000, y: Math.floor(node / side) * 1_000 })
  const gateways = Array.from({ length: count }, (_, node) => {
    return { node, cheat: undefined, group: -1, cell: cellAt(at(node)) }
  })
  const vectors = gateways.map(({ cell }) => vectorOf(cell))
  const around = gateways.map(({ node }) => {
    const rows = [-2, -1, 0, 1, 2].flatMap(row => [-2, -1, 0, 1, 2].map(column => [row, column]))
    return rows
      .map(([row, column]) => ({
        x: (node % side) + (column as number),
        y: Math.floor(node / side) + (row as number),
      }))
      .filter(({ x, y }) => x >= 0 && y >= 0 && x < side)
      .map(({ x, y }) => y * side + x)
      .filter(other => other !== node && other < count)
      .map(other => {
        const metres = chord(vectors[node] as Vector, vectors[other] as Vector)
        const path = { distance: metres, frequency: FREQUENCY, heights: [10, 10] as const }
        const loss = meanPathLoss(OULU, path) + random.normal() * shadowingSigma(OULU)
        return { other, metres, loss: Math.round(10 * loss) }
      })
  })
  const sent: Transmission[] = []
  for (let round = 0; round < rounds; round++) {
    for (const { node } of gateways) {
      const near = around[node] as (typeof around)[number]
      const skipped = Math.floor(random.next() * Math.max(1, near.length - witnesses + 1))
      const receptions = near
        .slice(skipped, skipped + witnesses)
        .map(({ other, metres, loss }) => ({
          witness: other,
          level: 160 + GAIN - loss,
          snr: 0,
          distance: metres,
          arrival: 0,
        }))
      // Everybody beacons in the last epoch of the last round.
      const epoch =
        round * roundEpochs + (round === rounds - 1 ? roundEpochs - 1 : node % roundEpochs)
      sent.push({
        epoch,
        beaconer: node,
        spreadingFactor: 12,
        power: 160,
        revealed: true,
        receptions,
      })
    }
  }
  return { gateways, transmissions: sent.sort((a, b) => a.epoch - b.epoch) }
}

interface Point {
  readonly x: number
  readonly y: number
}

interface Station {
  readonly node: number
  readonly cheat: Cheat | undefined
  readonly group: number
  readonly at: Point
  readonly claim: Point
  /** Stations of one place share their shadows. */
  readonly place: number
}

/** From one seed. */
export function town(init: FieldInit): Town {
  const random = chance(init.seed)
  const stations = settle(init, random)
  const gateways = stations.map(({ node, cheat, group, claim }) => ({
    node,
    cheat,
    group,
    cell: cellAt(claim),
  }))
  return { gateways, transmissions: transmissions(init, stations, gateways, random) }
}

function settle({ gateways, share, kinds }: FieldInit, random: Chance): Station[] {
  const centres = Array.from({ length: CENTRES }, () => anywhere(random))
  const home = (): Point => {
    const centre = centres[Math.floor(random.next() * CENTRES)] as Point
    if (random.next() >= 0.7) return anywhere(random)
    return {
      x: centre.x + random.normal() * SPREAD_METRES,
      y: centre.y + random.normal() * SPREAD_METRES,
    }
  }
  const elsewhere = (at: Point): Point => {
    for (;;) {
      const claim = home()
      if (Math.hypot(claim.x - at.x, claim.y - at.y) > SPOOFED_METRES) return claim
    }
  }
  const cheats = kinds.length === 0 ? 0 : Math.floor(gateways * share)
  const rooms = new Map<number, { at: Point; place: number }>()
  return Array.from({ length: gateways }, (_, node) => {
    const own = home()
    const group = node < cheats ? Math.floor(node / GROUP) : -1
    const cheat = group < 0 ? undefined : kinds[group % kinds.length]
    if (cheat === undefined) return { node, cheat, group, at: own, claim: own, place: node }
    if (cheat === 'spoofed')
      return { node, cheat, group, at: own, claim: elsewhere(own), place: node }
    if (cheat === 'room' || cheat === 'attenuated' || cheat === 'oneReceiver') {
      const room = rooms.get(group) ?? { at: own, place: node }
      rooms.set(group, room)
      return { node, cheat, group, ...room, claim: elsewhere(room.at) }
    }
    return { node, cheat, group, at: own, claim: own, place: node }
  })
}

function transmissions(
  { rounds, roundEpochs }: FieldInit,
  stations: readonly Station[],
  gateways: readonly Gateway[],
  random: Chance,
): Transmission[] {
  const vectors = gateways.map(({ cell }) => vectorOf(cell))
  const shadows = new Map<number, number>()
  const shadow = (a: Station, b: Station) => {
    const [low, high] = a.place < b.place ? [a.place, b.place] : [b.place, a.place]
    const key = low * 2 ** 24 + high
    let value = shadows.get(key)
    if (value === undefined) {
      value = random.normal() * shadowingSigma(OULU)
      shadows.set(key, value)
    }
    return value
  }
  const loss = (a: Station, b: Station, metres: number) => {
    const path = { distance: metres, frequency: FREQUENCY, heights: [10, 10] as const }
    return meanPathLoss(OULU, path) + shadow(a, b)
  }
  const sent: Transmission[] = []
  for (let round = 0; round < rounds; round++) {
    for (const from of stations) {
      const epoch = round * roundEpochs + Math.floor(random.next() * roundEpochs)
      const spreadingFactor = 7 + Math.floor(random.next() * 6)
      const power = 160 - 20 * Math.floor(random.next() * 8)
      const least = sensitivity({ spreadingFactor, bandwidth: 125 })
      const heard = new Map<number, Reception>()
      const report = (to: Station, level: number, arrival: number) => {
        const whole = Math.round(level)
        if (whole < least) return
        const metres = chord(vectors[from.node] as Vector, vectors[to.node] as Vector)
        const snr = Math.min(100, whole + 1170)
        heard.set(to.node, { witness: to.node, level: whole, snr, distance: metres, arrival })
      }
      for (const to of stations) {
        if (to === from || to.cheat === 'deaf' || to.cheat === 'ring') continue
        if (from.cheat === 'mute' || from.cheat === 'ring') continue
        const metres = Math.max(Math.hypot(from.at.x - to.at.x, from.at.y - to.at.y), 1)
        const damped = [from, to].filter(({ cheat }) => cheat === 'attenuated').length * ATTENUATION
        const excess = from.cheat === 'overpowered' ? EXCESS : 0
        const way = loss(from, to, metres) + damped - excess + random.normal() * FADING
        report(to, power + GAIN - 10 * way, 100 + 400 * random.next())
      }
      const free = (to: Station) =>
        freeSpaceLoss(chord(vectors[from.node] as Vector, vectors[to.node] as Vector), FREQUENCY)
      for (const to of stations) {
        if (to === from || to.group < 0 || heard.has(to.node)) continue
        const own = to.group === from.group
        const told =
          (to.cheat === 'ring' && own) ||
          ((to.cheat === 'forged' || to.cheat === 'relayed') &&
            (own || stations.some(({ node, group }) => group === to.group && heard.has(node))))
        if (!told) continue
        // Inside a ring the levels are what an honest link would have; a forger copies that too,
        // as far as it may without being told to be too weak; a relay reports what a wire gives.
        const metres = Math.hypot(from.claim.x - to.claim.x, from.claim.y - to.claim.y)
        const plausible = 10 * loss(from, to, Math.max(metres, 1))
        const most = power + GAIN - least
        const way =
          to.cheat === 'relayed'
            ? Math.max(free(to), 1_350 + 40 * random.normal())
            : Math.max(free(to), Math.min(plausible, to.cheat === 'forged' ? most : plausible))
        report(to, power + GAIN - way, 10 * random.next())
      }
      const receptions = [...heard.values()].sort((a, b) => a.witness - b.witness)
      const revealed = from.cheat !== 'withheld'
      const counted = revealed ? receptions : []
      sent.push({
        epoch,
        beaconer: from.node,
        spreadingFactor,
        power,
        revealed,
        receptions: counted,
      })
    }
  }
  return sent.sort((a, b) => a.epoch - b.epoch || a.beaconer - b.beaconer)
}

function anywhere(random: Chance): Point {
  return { x: random.next() * SIDE_METRES, y: random.next() * SIDE_METRES }
}

function cellAt({ x, y }: Point): bigint {
  const lat = HOME.lat + y / METRES_PER_DEGREE
  const lng = HOME.lng + x / (METRES_PER_DEGREE * Math.cos((HOME.lat * Math.PI) / 180))
  return BigInt(`0x${latLngToCell(lat, lng, 12)}`)
}

interface Chance {
  /** In [0, 1). */
  next(): number
  /** Of mean 0 and deviation 1 (Box and Muller). */
  normal(): number
}

function chance(seed: number): Chance {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, seed)
  const prng = new Prng(bytes, 'coverage field')
  const next = () => prng.u32() / 2 ** 32
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  return { next, normal }
}
