/** End devices that send LoRaWAN uplinks into the field, and hear nothing. */
import type { Clock, Timer } from '@cairn/node'
import { airtime, check, type Position } from '@cairn/protocol'
import { Prng } from '../sim/prng.ts'
import type { RadioField } from './field.ts'
import { type DeviceKeys, encodeUplink } from './lorawan.ts'
import { Region } from './places.ts'

/** In a hand or on a wall, m. */
const HEIGHT = 1.5
/** Of a small antenna, with what is around it, 0.1 dBi; and what is radiated, 0.1 dBm. */
const GAIN = 0
const EIRP = 140
/** Each part of a device's period by which it sends earlier or later: devices drift apart. */
const JITTER = 0.2
/** Hz: those that every device of EU868 has; at most this share of the time. */
const CHANNELS = [868_100_000, 868_300_000, 868_500_000] as const
const DUTY = 0.01
const PORT = 1
/** Counter, and what a sensor might say. */
const PAYLOAD_BYTES = 8
/** With 13 bytes of LoRaWAN around the payload. */
const FRAME_BYTES = PAYLOAD_BYTES + 13
export const DEVICES_MAX = 10_000

export interface EndDevice extends DeviceKeys {
  readonly name: string
  readonly at: Position
  readonly spreadingFactor: number
  /** Mean time between two uplinks, ms. */
  readonly everyMs: number
}

export interface EndDevicesInit {
  /** 32 bytes. */
  seed: Uint8Array
  devices: number
  /** Side of the square they are in. */
  km: number
  everyMs: number
}

/** Devices anywhere in a town's square. Errors: `badField`. */
export function endDevices({ seed, devices, km, everyMs }: EndDevicesInit): EndDevice[] {
  const fits = Number.isInteger(devices) && devices >= 0 && devices <= DEVICES_MAX
  const wrong = `--traffic: up to 10,000 devices send every 6 s or more, not ${devices} every ${everyMs / 1_000} s`
  check(fits && everyMs >= leastMs(7), 'badField', wrong, {
    facts: { devices, everyMs },
  })
  const region = new Region(seed, km)
  const prng = new Prng(seed, 'devices')
  return Array.from({ length: devices }, (_, i) => {
    let spreadingFactor = 7 + prng.below(6)
    while (leastMs(spreadingFactor) > everyMs) spreadingFactor--
    return {
      name: `dev${i + 1}`,
      at: region.anywhere(),
      spreadingFactor,
      everyMs,
      // The first seven bits 0 and 1 mark networks that nobody runs.
      devAddr: prng.u32() >>> 7,
      nwkSKey: bytes(prng),
      appSKey: bytes(prng),
    }
  })
}

export class Traffic {
  readonly #clock: Clock
  readonly #field: RadioField
  readonly #devices: readonly EndDevice[]
  readonly #prng: Prng
  readonly #timers = new Map<string, Timer>()
  /** Uplinks sent. */
  sent = 0

  /** Adds the devices to the field. */
  constructor(
    { clock, field }: { clock: Clock; field: RadioField },
    { seed, devices }: { seed: Uint8Array; devices: readonly EndDevice[] },
  ) {
    this.#clock = clock
    this.#field = field
    this.#devices = devices
    this.#prng = new Prng(seed, 'traffic')
    for (const { name, at } of devices) {
      field.add({ name, at, height: HEIGHT, gain: GAIN, deaf: true })
    }
  }

  start(): void {
    for (const device of this.#devices) {
      this.#schedule(device, 0, device.everyMs * (this.#prng.u32() / 2 ** 32))
    }
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #schedule(device: EndDevice, counter: number, delayMs: number): void {
    const send = () => {
      this.#send(device, counter)
      const spread = 1 + JITTER * (this.#prng.u32() / 2 ** 31 - 1)
      const next = Math.max(device.everyMs * spread, leastMs(device.spreadingFactor))
      this.#schedule(device, counter + 1, next)
    }
    this.#timers.set(device.name, this.#clock.at(this.#clock.now() + delayMs, send))
  }

  #send(device: EndDevice, counter: number): void {
    const payload = new Uint8Array(PAYLOAD_BYTES)
    const view = new DataView(payload.buffer)
    view.setUint32(0, counter)
    view.setUint32(4, this.#prng.u32())
    this.sent++
    this.#field.transmit(device.name, {
      payload: encodeUplink(device, { counter, port: PORT, payload }),
      frequency: CHANNELS[this.#prng.below(CHANNELS.length)] as number,
      spreadingFactor: device.spreadingFactor,
      bandwidth: 125,
      eirp: EIRP,
    })
  }
}

/** Between two uplinks, by the duty cycle, ms. */
function leastMs(spreadingFactor: number): number {
  return airtime({ bytes: FRAME_BYTES, spreadingFactor, bandwidth: 125 }) / 1_000 / DUTY
}

function bytes(prng: Prng): Uint8Array {
  return Uint8Array.from({ length: 16 }, () => prng.u32() & 0xff)
}
