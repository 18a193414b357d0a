/**
 * The physics between gateways, from one seed and without a clock: who hears a frame, how loud, and
 * what of it a concentrator reports. The testnet's field, the simulator, the benchmark and
 * `cairn radio field` all hear by these rules.
 *
 * Path loss and shadowing belong to a pair of places, fading to a frame and an antenna. Then come
 * noise floor and noise figure, the demodulation limit, half duplex, and capture among everything on
 * the air meanwhile: of the same channel and spreading factor a frame survives what is 6 dB weaker,
 * of another spreading factor what is up to 16 dB stronger (nearly orthogonal; one figure for all
 * pairs). All chance is a hash of the seed and of what it is for, so that the same transmissions in
 * the same order are heard the same, whoever listens.
 *
 * Not modelled: a limit on how many frames a concentrator demodulates at once, overload by a very
 * near transmitter, and interference from other systems.
 */
import {
  airtime,
  CairnError,
  cellCentre,
  check,
  demodulationLimit,
  type Position,
} from '@cairn/protocol'
import { Prng } from '../sim/prng.ts'
import { meanPathLoss, OULU, type PropagationModel, shadowingSigma } from './propagation.ts'

/** A frame survives others of its spreading factor that are this much weaker, dB. */
const CAPTURE_DB = 6
/** A frame survives others of another spreading factor up to this much stronger, dB. */
const CROSS_REJECTION_DB = 16
/** Where the SNR estimate of concentrators saturates, and how sharply, dB. */
const SNR_CEILING_DB = 10
const SNR_KNEE_DB = 1

export const NAME_MAX = 64

const EARTH_RADIUS_M = 6_371_007
const METRES_PER_NS = 0.299_792_458
/** -174 dBm/Hz, exactly 10 log10(k * 290 K * 1 Hz / 1 mW). */
const THERMAL_DBM_HZ = -173.975
/** Shadowing and fading beyond this many deviations are not waited for when a link is hopeless. */
const HOPELESS_SIGMAS = 5
/** GPS time began on 1980-01-06 and is ahead of UTC by the leap seconds since. */
export const GPS_EPOCH_MS = 315_964_800_000 - 18_000
const COUNTER = 2 ** 32
/** Levels with which a wire is told as air: loss and its spread, dB. */
const WIRE_LOSS_DB = 135
const WIRE_SPREAD_DB = 4

export interface FieldGateway {
  name: string
  /** Where it really is: a cell's centre, or a position. */
  at: bigint | Position
  /** Where it says that it is; there unless given. Physics does not ask; tales do. */
  claim?: bigint | Position
  /** Gateways of one site have the same shadows; its own name unless given. */
  site?: string
  /** Identities of one antenna hear and fade as one, and are deaf as one; its own name unless given. */
  antenna?: string
  /** Antenna above ground, m; 10 unless given. */
  height?: number
  /** Antenna less cable, 0.1 dBi; 20 unless given. */
  gain?: number
  /** 0.1 dB; 60 unless given. */
  noiseFigure?: number
  /** The concentrator tells signal from noise (`rssis`); true unless given. */
  rssis?: boolean
  /** Time-stamps receptions by GPS; false unless given. */
  gps?: boolean
  /** Attenuator before the antenna, 0.1 dB, both ways. */
  attenuation?: number
  /** Sent above what the radio says, 0.1 dB. */
  excess?: number
  /** Sends nothing, though it says so. */
  mute?: boolean
  /** Hears nothing. */
  deaf?: boolean
  /** Tells of frames that it did not hear. */
  tale?: Tale
}

/**
 * What a group that shares what it hears makes of it. All in it tell of each frame that one of them
 * sent; all but those of a ring also of what one of them heard.
 */
export interface Tale {
  group: string
  /**
   * `ring`: levels that an honest link between the claimed places would have. `forged`: the same,
   * never too weak to be heard. `relayed`: levels that fit a wire, whatever the distance.
   */
  kind: 'ring' | 'forged' | 'relayed'
}

export interface AirInit {
  /** 32 bytes. */
  seed: Uint8Array
  gateways?: readonly FieldGateway[]
  /** `OULU` unless given. */
  model?: PropagationModel
  /** Standard deviation between frames of one link, dB; 1 unless given. */
  fading?: number
}

export interface AirFrame {
  payload: Uint8Array
  /** Hz. */
  frequency: number
  spreadingFactor: number
  /** kHz. */
  bandwidth: number
  /** 0.1 dBm. */
  eirp: number
}

/** What a gateway's concentrator reports; levels rounded as the forwarder prints them. */
export interface HeardFrame extends Omit<AirFrame, 'eirp'> {
  /** 0.1 dBm, whole dBm. */
  rssi: number
  rssis?: number
  /** 0.1 dB, from quarters of a dB. */
  snr: number
  /** Microseconds, wraps at 2^32. */
  tmst: number
  tmms?: bigint
  ftime?: number
}

/** A frame on the air. */
export interface Emission extends AirFrame {
  readonly from: string
  /** Order of transmission: what its fading hangs on. */
  readonly number: number
  /** Ms. */
  readonly start: number
  readonly end: number
  /** Microseconds. */
  readonly airtime: number
}

/** One gateway's report of a frame. */
export interface FieldReception {
  readonly gateway: string
  readonly heard: HeardFrame
  /** No radio of this gateway heard it. */
  readonly told: boolean
}

interface Words {
  readonly low: number
  readonly high: number
}

type Vector = readonly [number, number, number]

interface Station extends Required<Omit<FieldGateway, 'at' | 'claim' | 'tale'>> {
  tale: Tale | undefined
  vector: Vector
  claimed: Vector
  siteWords: Words
  antennaWords: Words
  /** Start of its counter, microseconds. */
  counter: number
}

export class Air {
  readonly model: PropagationModel
  readonly #seed: Uint8Array
  readonly #fading: number
  readonly #stations = new Map<string, Station>()
  #number = 0

  /** Errors: `badField`, `badCell`. */
  constructor(init: AirInit) {
    this.#seed = init.seed
    this.model = init.model ?? OULU
    this.#fading = init.fading ?? 1
    for (const gateway of init.gateways ?? []) this.add(gateway)
  }

  add(gateway: FieldGateway): void {
    const { name, at, claim = at, site = name, antenna = name, tale, ...rest } = gateway
    const fits = name.length > 0 && name.length <= NAME_MAX && !this.#stations.has(name)
    check(fits, 'badField', 'every gateway has its own name of at most 64 characters', {
      facts: { name },
    })
    this.#stations.set(name, {
      height: 10,
      gain: 20,
      noiseFigure: 60,
      rssis: true,
      gps: false,
      attenuation: 0,
      excess: 0,
      mute: false,
      deaf: false,
      ...rest,
      name,
      tale,
      site,
      antenna,
      vector: vectorAt(at),
      claimed: vectorAt(claim),
      siteWords: this.#words(`site/${site}`),
      antennaWords: this.#words(`antenna/${antenna}`),
      counter: new Prng(this.#seed, `counter/${antenna}`).u32(),
    })
  }

  /** Changes what a gateway is or does, from the next frame on. */
  set(name: string, changes: Partial<Omit<FieldGateway, 'name' | 'site' | 'antenna'>>): void {
    const station = this.#station(name)
    const { at, claim, ...rest } = changes
    Object.assign(station, rest)
    if (at !== undefined) station.vector = vectorAt(at)
    if (claim !== undefined) station.claimed = vectorAt(claim)
  }

  /** A frame that begins at `start` (ms). Errors: `badFrame`, `badField`. */
  emit(from: string, frame: AirFrame, start: number): Emission {
    this.#station(from)
    const { payload, spreadingFactor, bandwidth } = frame
    const us = airtime({ bytes: payload.length, spreadingFactor, bandwidth })
    const number = this.#number++
    return { ...frame, from, number, start, end: start + us / 1_000, airtime: us }
  }

  /**
   * Who reports a frame, and what; `meanwhile` is what else was on the air then. Tales of a ring
   * need no frame on the air. `listens` leaves out gateways that nobody asks.
   */
  receptions(
    emission: Emission,
    meanwhile: readonly Emission[] = [],
    listens: (name: string) => boolean = () => true,
  ): FieldReception[] {
    const from = this.#station(emission.from)
    const found: FieldReception[] = []
    const heardBy = new Set<string>()
    const groups = new Set(from.tale === undefined ? [] : [from.tale.group])
    if (!from.mute) {
      for (const station of this.#stations.values()) {
        const { name, deaf, antenna, tale } = station
        if (deaf || antenna === from.antenna || (tale === undefined && !listens(name))) continue
        const heard = this.#hear(station, { emission, from }, meanwhile)
        if (heard === undefined) continue
        heardBy.add(name)
        if (tale !== undefined && tale.kind !== 'ring') groups.add(tale.group)
        if (listens(name)) found.push({ gateway: name, heard, told: false })
      }
    }
    if (groups.size === 0) return found
    for (const station of this.#stations.values()) {
      const { name, tale } = station
      if (tale === undefined || station === from || heardBy.has(name) || !listens(name)) continue
      if (!groups.has(tale.group)) continue
      const heard = this.#tell(station, emission, from, tale)
      if (heard !== undefined) found.push({ gateway: name, heard, told: true })
    }
    return found
  }

  /** Loss between two gateways with its shadowing, dB; the same both ways. */
  pathLoss(a: string, b: string, frequency: number): number {
    const [from, to] = [this.#station(a), this.#station(b)]
    return this.#loss(from, to, frequency, metresBetween(from.vector, to.vector))
  }

  distance(a: string, b: string): number {
    return metresBetween(this.#station(a).vector, this.#station(b).vector)
  }

  /** A gateway's concentrator counter at a time (ms), microseconds. */
  counter(name: string, ms: number): number {
    return counterAt(this.#station(name), Math.round(ms * 1_000))
  }

  /** Errors: `badField` where no gateway has this name. */
  require(name: string): void {
    this.#station(name)
  }

  #station(name: string): Station {
    const station = this.#stations.get(name)
    if (station !== undefined) return station
    throw new CairnError('badField', 'no gateway of the field has this name', { facts: { name } })
  }

  #hear(
    station: Station,
    { emission, from }: Sent,
    meanwhile: readonly Emission[],
  ): HeardFrame | undefined {
    const noise = noiseOf(station, emission.bandwidth)
    const limit = noise + demodulationLimit(emission.spreadingFactor) / 10
    const metres = metresBetween(from.vector, station.vector)
    if (this.#hopeless(station, { emission, from }, metres, limit)) return undefined
    const level = this.#level(station, { emission, from }, metres)
    if (level < limit || this.#drowned(station, emission, level, meanwhile)) return undefined
    return report(station, emission, { level, noise, metres })
  }

  /** Too far even for luck: most links of a large field end here, without a hash. */
  #hopeless(station: Station, { emission, from }: Sent, metres: number, limit: number): boolean {
    const spread = HOPELESS_SIGMAS * (shadowingSigma(this.model) + this.#fading)
    const mean = this.#mean(station, from, emission.frequency, metres)
    return budgetOf(station, { emission, from }) - mean + spread < limit
  }

  #drowned(
    station: Station,
    frame: Emission,
    level: number,
    meanwhile: readonly Emission[],
  ): boolean {
    return meanwhile.some(other => {
      const from = this.#station(other.from)
      if (from.mute) return false
      if (from.antenna === station.antenna) return true
      if (Math.abs(other.frequency - frame.frequency) >= frame.bandwidth * 1_000) return false
      const same = other.spreadingFactor === frame.spreadingFactor
      const margin = same ? CAPTURE_DB : -CROSS_REJECTION_DB
      const metres = metresBetween(from.vector, station.vector)
      return level < this.#level(station, { emission: other, from }, metres) + margin
    })
  }

  /** dBm at the receiver's input. */
  #level(station: Station, { emission, from }: Sent, metres: number): number {
    const { low, high } = station.antennaWords
    const { number, frequency } = emission
    const fading = this.#fading * normal(mix(number, low), mix(~number, high))
    return (
      budgetOf(station, { emission, from }) - this.#loss(from, station, frequency, metres) + fading
    )
  }

  /** What a group says that one of its own heard; undefined where it would say too much. */
  #tell(
    station: Station,
    emission: Emission,
    from: Station,
    { kind }: Tale,
  ): HeardFrame | undefined {
    const { frequency, spreadingFactor, bandwidth, eirp, number } = emission
    const noise = noiseOf(station, bandwidth)
    const limit = noise + demodulationLimit(spreadingFactor) / 10
    const metres = metresBetween(from.claimed, station.claimed)
    const sent = (eirp + station.gain) / 10
    const { low, high } = station.antennaWords
    const loss =
      kind === 'relayed'
        ? WIRE_LOSS_DB + WIRE_SPREAD_DB * normal(mix(number, high), mix(~number, low))
        : this.#loss(from, station, frequency, metres)
    const plausible = kind === 'forged' ? Math.min(loss, sent - limit) : loss
    const free = meanPathLoss({ name: 'freeSpace' }, { distance: metres, frequency, heights: NONE })
    const level = sent - Math.max(free, plausible)
    if (level < limit) return undefined
    return report({ ...station, gps: false }, emission, { level, noise, metres })
  }

  #mean(a: Station, b: Station, frequency: number, distance: number): number {
    return meanPathLoss(this.model, { distance, frequency, heights: [a.height, b.height] })
  }

  /** Shadowing never makes a link better than free space. */
  #loss(a: Station, b: Station, frequency: number, distance: number): number {
    const free = meanPathLoss({ name: 'freeSpace' }, { distance, frequency, heights: NONE })
    return Math.max(free, this.#mean(a, b, frequency, distance) + this.#shadow(a, b))
  }

  #shadow({ siteWords: a }: Station, { siteWords: b }: Station): number {
    const sigma = shadowingSigma(this.model)
    if (sigma === 0) return 0
    const inOrder = a.low < b.low || (a.low === b.low && a.high <= b.high)
    const [first, second] = inOrder ? [a, b] : [b, a]
    return sigma * normal(mix(first.low, second.high), mix(second.low, first.high))
  }

  #words(label: string): Words {
    const prng = new Prng(this.#seed, label)
    return { low: prng.u32(), high: prng.u32() }
  }
}

/** Two frames are on the air at the same time. */
export function overlap(a: Emission, b: Emission): boolean {
  return a.start < b.end && a.end > b.start
}

interface Sent {
  readonly emission: Emission
  readonly from: Station
}

const NONE = [0, 0] as const

/** dBm. */
function noiseOf({ noiseFigure }: Station, bandwidth: number): number {
  return THERMAL_DBM_HZ + 10 * Math.log10(bandwidth * 1_000) + noiseFigure / 10
}

/** What arrives less the path loss, dBm. */
function budgetOf(station: Station, { emission, from }: Sent): number {
  const { excess, attenuation } = from
  return (emission.eirp + excess - attenuation + station.gain - station.attenuation) / 10
}

interface Levels {
  /** dBm. */
  readonly level: number
  readonly noise: number
  readonly metres: number
}

function report(
  station: Station,
  emission: Emission,
  { level, noise, metres }: Levels,
): HeardFrame {
  const { payload, frequency, spreadingFactor, bandwidth, start, airtime: us } = emission
  const total = 10 * Math.log10(10 ** (level / 10) + 10 ** (noise / 10))
  const delay = Math.round(metres / METRES_PER_NS)
  const end = Math.round(start * 1_000) + us + Math.floor(delay / 1_000)
  return {
    payload,
    frequency,
    spreadingFactor,
    bandwidth,
    rssi: wholeDbm(total),
    ...(station.rssis && { rssis: wholeDbm(level) }),
    snr: Math.round(Math.round(saturated(level - noise) * 4) * 2.5),
    tmst: counterAt(station, end),
    ...(station.gps && gpsTime(end, delay % 1_000)),
  }
}

/** Of microseconds since 1970 and the nanoseconds beyond. */
function gpsTime(us: number, ns: number): { tmms: bigint; ftime: number } {
  const gps = us - GPS_EPOCH_MS * 1_000
  return { tmms: BigInt(Math.floor(gps / 1_000)), ftime: (gps % 1_000_000) * 1_000 + ns }
}

function counterAt({ counter }: Station, us: number): number {
  return (counter + us) % COUNTER
}

/** The estimate follows the SNR up to the ceiling and leans against it from below. */
function saturated(snr: number): number {
  const weaker = Math.min(snr, SNR_CEILING_DB)
  const apart = Math.abs(snr - SNR_CEILING_DB)
  return weaker - SNR_KNEE_DB * Math.log1p(Math.exp(-apart / SNR_KNEE_DB))
}

function wholeDbm(level: number): number {
  return Math.round(level) * 10
}

/** Box and Muller's transform of two numbers of 32 bits. */
function normal(a: number, b: number): number {
  return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32)
}

/** Murmur3's finaliser over two words: there are too many links for a cryptographic hash. */
function mix(a: number, b: number): number {
  let h = Math.imul(a, 0xcc9e2d51) ^ b
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function vectorAt(at: bigint | Position): Vector {
  const { lat, lng } = typeof at === 'bigint' ? cellCentre(at) : at
  const north = (lat / 1e7 / 180) * Math.PI
  const east = (lng / 1e7 / 180) * Math.PI
  return [Math.cos(north) * Math.cos(east), Math.cos(north) * Math.sin(east), Math.sin(north)]
}

function metresBetween(a: Vector, b: Vector): number {
  const x = a[0] - b[0]
  const y = a[1] - b[1]
  const z = a[2] - b[2]
  const chord = Math.sqrt(x * x + y * y + z * z)
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(chord / 2, 1))
}
