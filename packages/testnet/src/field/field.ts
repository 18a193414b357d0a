/**
 * The air between gateways: who hears what, how loud, and what is lost.
 *
 * A frame is judged at each gateway when it ends: path loss and shadowing of the link, fading of
 * the moment, noise floor and noise figure, then the demodulation limit, half duplex and capture
 * among everything that was on the air meanwhile. All chance is a hash of the seed and of what it
 * is for, so the same transmissions in the same order are heard the same, whoever listens.
 */
import type { Clock } from '@cairn/node'
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

/** Frames stay known this long after their end, ms: the longest that may overlap them is 9.2 s. */
const REMEMBER_MS = 10_000
/** Links whose shadowing is kept in memory; more are computed again. */
const LINKS_MAX = 1_000_000
export const NAME_MAX = 64

const EARTH_RADIUS_M = 6_371_007
const METRES_PER_NS = 0.299_792_458
/** -174 dBm/Hz, exactly 10 log10(k * 290 K * 1 Hz / 1 mW). */
const THERMAL_DBM_HZ = -173.975
/** Shadowing and fading beyond this many deviations are not waited for when a link is hopeless. */
const HOPELESS_SIGMAS = 5
/** GPS time began on 1980-01-06 and is ahead of UTC by the leap seconds since. */
const GPS_EPOCH_MS = 315_964_800_000 - 18_000

export interface FieldGateway {
  name: string
  /** Where it really is: a cell's centre, or a position. */
  at: bigint | Position
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
}

export interface FieldInit {
  /** 32 bytes. */
  seed: Uint8Array
  gateways: readonly FieldGateway[]
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
  /** 0.1 dB. */
  snr: number
  /** Microseconds, wraps at 2^32. */
  tmst: number
  tmms?: bigint
  ftime?: number
}

interface OnAir extends AirFrame {
  from: Station
  /** Order of transmission: what its fading hangs on. */
  number: number
  /** Ms. */
  start: number
  end: number
  /** Microseconds. */
  airtime: number
}

interface Station extends Required<Omit<FieldGateway, 'at'>> {
  vector: readonly [number, number, number]
  listeners: Set<(heard: HeardFrame) => void>
  /** Start of its counter, microseconds. */
  counter: number
}

export class RadioField {
  readonly #clock: Clock
  readonly #seed: Uint8Array
  readonly #model: PropagationModel
  readonly #fading: number
  readonly #stations = new Map<string, Station>()
  readonly #shadows = new Map<string, number>()
  #air: OnAir[] = []
  #number = 0

  /** Errors: `badField`, `badCell`. */
  constructor({ clock }: { clock: Clock }, init: FieldInit) {
    this.#clock = clock
    this.#seed = init.seed
    this.#model = init.model ?? OULU
    this.#fading = init.fading ?? 1
    for (const gateway of init.gateways) this.add(gateway)
  }

  add(gateway: FieldGateway): void {
    const { name, at } = gateway
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
      ...withoutPlace(gateway),
      vector: unitVector(typeof at === 'bigint' ? cellCentre(at) : at),
      listeners: new Set(),
      counter: new Prng(this.#seed, `counter/${name}`).u32(),
    })
  }

  /** Changes what a gateway is or does, from the next frame on. */
  set(name: string, changes: Partial<Omit<FieldGateway, 'name'>>): void {
    const station = this.#station(name)
    const { at, ...rest } = changes
    Object.assign(station, rest)
    if (at === undefined) return
    station.vector = unitVector(typeof at === 'bigint' ? cellCentre(at) : at)
  }

  listen(name: string, listener: (heard: HeardFrame) => void): () => void {
    const { listeners } = this.#station(name)
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }

  /** Puts a frame on the air now; returns its end (ms). Errors: `badFrame`, `badField`. */
  transmit(name: string, frame: AirFrame): number {
    const from = this.#station(name)
    const { payload, spreadingFactor, bandwidth } = frame
    const us = airtime({ bytes: payload.length, spreadingFactor, bandwidth })
    const start = this.#clock.now()
    const end = start + us / 1_000
    if (from.mute) return end
    const onAir: OnAir = { ...frame, from, number: this.#number++, start, end, airtime: us }
    this.#air = this.#air.filter(other => other.end > start - REMEMBER_MS)
    this.#air.push(onAir)
    this.#clock.at(end, () => this.#deliver(onAir))
    return end
  }

  /** Makes a gateway report a frame that it never heard. */
  inject(name: string, heard: HeardFrame): void {
    for (const listener of this.#station(name).listeners) listener(heard)
  }

  /** Loss between two gateways with its shadowing, dB; the same both ways. */
  pathLoss(a: string, b: string, frequency: number): number {
    return this.#loss(this.#station(a), this.#station(b), frequency)
  }

  distance(a: string, b: string): number {
    return metresBetween(this.#station(a), this.#station(b))
  }

  /** A gateway's concentrator counter now, microseconds. */
  counter(name: string): number {
    return counterAt(this.#station(name), this.#clock.now())
  }

  #station(name: string): Station {
    const station = this.#stations.get(name)
    if (station !== undefined) return station
    throw new CairnError('badField', 'no gateway of the field has this name', { facts: { name } })
  }

  #deliver(frame: OnAir): void {
    const meanwhile = this.#air.filter(other => other !== frame && overlap(other, frame))
    for (const station of this.#stations.values()) {
      if (station === frame.from || station.deaf || station.listeners.size === 0) continue
      const heard = this.#hear(station, frame, meanwhile)
      if (heard === undefined) continue
      for (const listener of station.listeners) listener(heard)
    }
  }

  #hear(station: Station, frame: OnAir, meanwhile: readonly OnAir[]): HeardFrame | undefined {
    const noise =
      THERMAL_DBM_HZ + 10 * Math.log10(frame.bandwidth * 1_000) + station.noiseFigure / 10
    const limit = noise + demodulationLimit(frame.spreadingFactor) / 10
    if (this.#hopeless(station, frame, limit)) return undefined
    const level = this.#level(station, frame)
    if (level < limit || this.#drowned(station, frame, level, meanwhile)) return undefined
    return report(station, frame, level, noise)
  }

  /** Too far even for luck: most links of a large field end here, without a hash. */
  #hopeless(station: Station, frame: OnAir, limit: number): boolean {
    const spread = shadowingSigma(this.#model) + this.#fading
    return budgetOf(station, frame) - this.#mean(station, frame) + HOPELESS_SIGMAS * spread < limit
  }

  #drowned(station: Station, frame: OnAir, level: number, meanwhile: readonly OnAir[]): boolean {
    return meanwhile.some(other => {
      if (other.from === station) return true
      if (Math.abs(other.frequency - frame.frequency) >= frame.bandwidth * 1_000) return false
      const same = other.spreadingFactor === frame.spreadingFactor
      const margin = same ? CAPTURE_DB : -CROSS_REJECTION_DB
      return level < this.#level(station, other) + margin
    })
  }

  /** dBm at the receiver's input. */
  #level(station: Station, frame: OnAir): number {
    const { from, frequency, number } = frame
    const fading =
      this.#fading * normal(mix(number, station.counter), mix(~number, station.counter))
    return budgetOf(station, frame) - this.#loss(from, station, frequency) + fading
  }

  #mean(station: Station, { from, frequency }: OnAir): number {
    const distance = metresBetween(from, station)
    return meanPathLoss(this.#model, {
      distance,
      frequency,
      heights: [from.height, station.height],
    })
  }

  #loss(a: Station, b: Station, frequency: number): number {
    const path = {
      distance: metresBetween(a, b),
      frequency,
      heights: [a.height, b.height] as const,
    }
    const free = meanPathLoss({ name: 'freeSpace' }, path)
    return Math.max(free, meanPathLoss(this.#model, path) + this.#shadow(a.name, b.name))
  }

  #shadow(a: string, b: string): number {
    const sigma = shadowingSigma(this.#model)
    if (sigma === 0) return 0
    const label = a < b ? `shadow/${a}/${b}` : `shadow/${b}/${a}`
    const known = this.#shadows.get(label)
    if (known !== undefined) return known
    const prng = new Prng(this.#seed, label)
    const shadow = sigma * normal(prng.u32(), prng.u32())
    if (this.#shadows.size >= LINKS_MAX) this.#shadows.clear()
    this.#shadows.set(label, shadow)
    return shadow
  }
}

function overlap(a: OnAir, b: OnAir): boolean {
  return a.start < b.end && a.end > b.start
}

/** What arrives less the path loss, dBm. */
function budgetOf(station: Station, { from, eirp }: OnAir): number {
  return (eirp + from.excess - from.attenuation + station.gain - station.attenuation) / 10
}

function report(station: Station, frame: OnAir, level: number, noise: number): HeardFrame {
  const { payload, frequency, spreadingFactor, bandwidth, from } = frame
  const total = 10 * Math.log10(10 ** (level / 10) + 10 ** (noise / 10))
  const delay = metresBetween(from, station) / METRES_PER_NS
  const us = BigInt(Math.round(frame.start * 1_000)) + BigInt(frame.airtime)
  const ns = us * 1_000n + BigInt(Math.round(delay))
  return {
    payload,
    frequency,
    spreadingFactor,
    bandwidth,
    rssi: wholeDbm(total),
    ...(station.rssis && { rssis: wholeDbm(level) }),
    snr: Math.round(saturated(level - noise) * 10),
    tmst: counterAt(station, Number(ns / 1_000n) / 1_000),
    ...(station.gps && gpsTime(ns)),
  }
}

function gpsTime(ns: bigint): { tmms: bigint; ftime: number } {
  const gps = ns - BigInt(GPS_EPOCH_MS) * 1_000_000n
  return { tmms: gps / 1_000_000n, ftime: Number(gps % 1_000_000_000n) }
}

function counterAt({ counter }: Station, ms: number): number {
  return Number((BigInt(counter) + BigInt(Math.round(ms * 1_000))) & 0xffff_ffffn)
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

/** Murmur3's finaliser over two words: there are too many fadings for a cryptographic hash. */
function mix(a: number, b: number): number {
  let h = Math.imul(a, 0xcc9e2d51) ^ b
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function unitVector({ lat, lng }: Position): readonly [number, number, number] {
  const north = (lat / 1e7 / 180) * Math.PI
  const east = (lng / 1e7 / 180) * Math.PI
  return [Math.cos(north) * Math.cos(east), Math.cos(north) * Math.sin(east), Math.sin(north)]
}

function metresBetween({ vector: a }: Station, { vector: b }: Station): number {
  const chord = Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(chord / 2, 1))
}

function withoutPlace({ at: _, ...rest }: FieldGateway): Omit<FieldGateway, 'at'> {
  return rest
}
