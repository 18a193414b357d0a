/**
 * The airtime a radio has spent in the last hour, per band of its regional plan, so that no
 * transmission exceeds what the law allows; kept across restarts.
 *
 * A transmission is booked, durably, before it is sent, and counts until an hour after its end. It
 * is taken off again only when the forwarder said that it will not send. A booking that lies in the
 * future, after a clock was set back, counts too: in doubt the radio stays silent.
 */
import { bandOf, CairnError, type RegionalPlan } from '@cairn/protocol'
import type { Clock, Store } from '../ports.ts'

const HOUR_MS = 3_600_000

/** An hour of the shortest frames at 10 % is 14,000; a ledger this full refuses. */
export const BOOKINGS_MAX = 16_384

export interface DutyCycleComponents {
  /** A key space of the ledger's own. */
  store: Store
  clock: Clock
}

export interface DutyCycleInit {
  plan: RegionalPlan
}

/** Time on the air that was promised to one transmission. */
export interface Booking {
  readonly band: string
  /** Ms since 1970. */
  readonly at: number
  /** Microseconds. */
  readonly airtime: number
  readonly key: Uint8Array
}

export class DutyCycleLedger {
  readonly #store: Store
  readonly #clock: Clock
  readonly #plan: RegionalPlan
  #bookings: Booking[] = []
  #sequence = 0

  private constructor({ store, clock }: DutyCycleComponents, { plan }: DutyCycleInit) {
    this.#store = store
    this.#clock = clock
    this.#plan = plan
  }

  /** Reads what was booked before. Errors: those of the store, `storeCorrupt`. */
  static async open(
    components: DutyCycleComponents,
    init: DutyCycleInit,
  ): Promise<DutyCycleLedger> {
    const ledger = new DutyCycleLedger(components, init)
    const all = { gte: new Uint8Array(), lt: new Uint8Array(KEY_BYTES).fill(0xff) }
    for await (const [key, value] of components.store.range(all)) {
      const booking = decodeBooking(key, value)
      ledger.#bookings.push(booking)
      ledger.#sequence = Math.max(ledger.#sequence, sequenceOf(key) + 1)
    }
    return ledger
  }

  /** Microseconds spent in the band of a frequency within the last hour. */
  spent(frequency: number): number {
    const band = bandOf(this.#plan, frequency)?.name
    const now = this.#clock.now()
    return this.#bookings
      .filter(booking => booking.band === band && counts(booking, now))
      .reduce((sum, booking) => sum + booking.airtime, 0)
  }

  /** Microseconds an hour allows in the band of a frequency; 0 outside every band. */
  allowance(frequency: number): number {
    return ((bandOf(this.#plan, frequency)?.duty ?? 0) * HOUR_MS) / 1_000
  }

  /** Books `airtime`; undefined where less than `keep` would be left of the allowance; microseconds. */
  async book(frequency: number, airtime: number, keep = 0): Promise<Booking | undefined> {
    const band = bandOf(this.#plan, frequency)
    if (band === undefined) return undefined
    if (this.spent(frequency) + airtime + keep > this.allowance(frequency)) return undefined
    const at = this.#clock.now()
    const expired = this.#bookings.filter(booking => !counts(booking, at))
    if (this.#bookings.length - expired.length >= BOOKINGS_MAX) return undefined
    const booking = { band: band.name, at, airtime, key: encodeKey(at, this.#sequence++) }
    this.#bookings = this.#bookings.filter(b => counts(b, at))
    this.#bookings.push(booking)
    await this.#store.batch(
      [...expired.map(({ key }) => ({ key })), { key: booking.key, value: encodeValue(booking) }],
      { sync: true },
    )
    return booking
  }

  /** Takes a booking off: the transmission did not and will not happen. */
  async release(booking: Booking): Promise<void> {
    this.#bookings = this.#bookings.filter(b => b !== booking)
    await this.#store.batch([{ key: booking.key }])
  }
}

function counts({ at, airtime }: Booking, now: number): boolean {
  return now < at + HOUR_MS + Math.ceil(airtime / 1_000)
}

/** Time (u64), then sequence (u32), big-endian: bookings in the order of their times. */
const KEY_BYTES = 12

function encodeKey(at: number, sequence: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(KEY_BYTES))
  view.setBigUint64(0, BigInt(Math.max(0, Math.floor(at))))
  view.setUint32(8, sequence >>> 0)
  return new Uint8Array(view.buffer)
}

function sequenceOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset).getUint32(8)
}

/** Airtime (u32, big-endian), then the band's name. */
function encodeValue({ airtime, band }: Booking | Omit<Booking, 'key'>): Uint8Array {
  const name = new TextEncoder().encode(band)
  const bytes = new Uint8Array(4 + name.length)
  new DataView(bytes.buffer).setUint32(0, airtime)
  bytes.set(name, 4)
  return bytes
}

function decodeBooking(key: Uint8Array, value: Uint8Array): Booking {
  if (key.length !== KEY_BYTES || value.length < 4) {
    throw new CairnError('storeCorrupt', 'a duty-cycle booking has a key of 12 bytes and a value', {
      facts: { key: key.length, value: value.length },
    })
  }
  const view = new DataView(value.buffer, value.byteOffset)
  return {
    key,
    at: Number(new DataView(key.buffer, key.byteOffset).getBigUint64(0)),
    airtime: view.getUint32(0),
    band: new TextDecoder().decode(value.subarray(4)),
  }
}
