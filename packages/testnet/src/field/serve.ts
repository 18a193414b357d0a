/** A field by itself: a virtual packet forwarder per gateway, for any server that speaks GWMP. */
import type { Clock } from '@cairn/node'
import { cellCentre, check, distance, hex, type Position, sha256 } from '@cairn/protocol'
import { type EndDevice, endDevices, Traffic } from './devices.ts'
import { RadioField } from './field.ts'
import { type ForwarderCounters, VirtualForwarder } from './forwarder.ts'
import { cellAt } from './places.ts'
import { MODELS, type PropagationModel } from './propagation.ts'
import { type CheatGroup, type FieldCheat, positionOf, type Resident, town } from './residents.ts'

/** Two sockets each. */
export const FORWARDERS_MAX = 512

export interface ServedFieldInit {
  gateways: number
  /** Everything random follows from it. */
  seed: number
  /** Of a GWMP server; an IP address. */
  server: { host: string; port: number }
  /** Side of the square. */
  km: number
  model: PropagationModel
  cheats: readonly CheatGroup[]
  /** End devices that send uplinks, and how often, s. */
  devices: number
  everyS: number
  /** Honest gateways know GPS time. */
  gps: boolean
}

/** Who is where. */
export interface ServedGateway {
  readonly gateway: string
  readonly eui: string
  /** What it would register, and its centre. */
  readonly cell: string
  readonly lat: number
  readonly lng: number
  /** Where the antenna is. */
  readonly truth: { readonly cell: string; readonly lat: number; readonly lng: number }
  /** Metres between the two. */
  readonly apart: number
  readonly cheat: FieldCheat | null
  /** Cheats of one group work together. */
  readonly group: number | null
}

export interface ServedDevice {
  readonly device: string
  /** Hexadecimal, as networks write it. */
  readonly devAddr: string
  readonly nwkSKey: string
  readonly appSKey: string
  readonly spreadingFactor: number
  readonly lat: number
  readonly lng: number
}

export interface FieldTally extends ForwarderCounters {
  readonly gateways: number
  /** Forwarders whose server has answered. */
  readonly answered: number
  /** Uplinks that end devices sent. */
  readonly uplinks: number
}

export class ServedField {
  readonly gateways: readonly ServedGateway[]
  readonly devices: readonly ServedDevice[]
  readonly #forwarders: readonly VirtualForwarder[]
  readonly #traffic: Traffic

  /** Errors: `badField`, `badCheats`. */
  constructor({ clock }: { clock: Clock }, init: ServedFieldInit) {
    const { gateways, km, model, cheats, server, gps } = init
    check(gateways <= FORWARDERS_MAX, 'badField', 'one process serves up to 512 forwarders', {
      facts: { gateways },
    })
    const seed = sha256(new TextEncoder().encode(`cairn radio field ${init.seed}`))
    const residents = town({ seed, gateways, km, cheats })
    const knowsGps = ({ cheat }: Resident) => gps && cheat === undefined
    const field = new RadioField(
      { clock },
      {
        seed,
        model,
        gateways: residents.map(known => ({ ...known.gateway, gps: knowsGps(known) })),
      },
    )
    this.gateways = residents.map(resident => servedGateway(resident, seed))
    this.#forwarders = residents.map(
      (resident, i) =>
        new VirtualForwarder(
          { clock, field },
          {
            gateway: resident.name,
            eui: (this.gateways[i] as ServedGateway).eui,
            server,
            position: cellCentre(resident.cell),
            gps: knowsGps(resident),
            silent: resident.cheat === 'withheld',
          },
        ),
    )
    const everyMs = init.everyS * 1_000
    const devices = endDevices({ seed, devices: init.devices, km, everyMs })
    this.devices = devices.map(servedDevice)
    this.#traffic = new Traffic({ clock, field }, { seed, devices })
  }

  async start(): Promise<void> {
    for (const forwarder of this.#forwarders) await forwarder.start()
    this.#traffic.start()
  }

  async stop(): Promise<void> {
    this.#traffic.stop()
    await Promise.all(this.#forwarders.map(forwarder => forwarder.stop()))
  }

  tally(): FieldTally {
    const counters = this.#forwarders.map(forwarder => forwarder.counters)
    const names = Object.keys(counters[0] ?? {}) as (keyof ForwarderCounters)[]
    const sums = names.map(name => [name, counters.reduce((sum, known) => sum + known[name], 0)])
    return {
      gateways: counters.length,
      answered: counters.filter(({ pullAcknowledged }) => pullAcknowledged > 0).length,
      uplinks: this.#traffic.sent,
      ...(Object.fromEntries(sums) as ForwarderCounters),
    }
  }
}

/** Errors: `badField`. */
export function modelNamed(name: string): PropagationModel {
  const model = MODELS[name]
  check(model !== undefined, 'badField', `there is no propagation model '${name}'`, {
    facts: { name },
    next: `use one of ${Object.keys(MODELS).join(', ')}`,
  })
  return model
}

/** Of `devices=20,every=60`: every so many seconds, 60 unless given. Errors: `badField`. */
export function parseTraffic(text: string): { devices: number; everyS: number } {
  const found = /^devices=(\d{1,5})(?:,every=(\d{1,6}))?$/.exec(text)
  check(
    found !== null,
    'badField',
    `--traffic: '${text}' is not how many devices send, and how often`,
    {
      next: 'write devices=20,every=60 for 20 devices that send once a minute',
    },
  )
  return { devices: Number(found[1]), everyS: Number(found[2] ?? 60) }
}

function servedGateway({ name, cell, cheat, group, gateway }: Resident, seed: Uint8Array) {
  const at = positionOf(gateway.at)
  const centre = cellCentre(cell)
  return {
    gateway: name,
    eui: euiOf(seed, name),
    cell: cell.toString(16),
    ...degrees(centre),
    truth: { cell: cellAt(at).toString(16), ...degrees(at) },
    apart: distance(at, centre),
    cheat: cheat ?? null,
    group: group < 0 ? null : group,
  }
}

function servedDevice({ name, at, spreadingFactor, ...keys }: EndDevice): ServedDevice {
  return {
    device: name,
    devAddr: keys.devAddr.toString(16).padStart(8, '0'),
    nwkSKey: hex(keys.nwkSKey),
    appSKey: hex(keys.appSKey),
    spreadingFactor,
    ...degrees(at),
  }
}

function degrees({ lat, lng }: Position): { lat: number; lng: number } {
  return { lat: lat / 1e7, lng: lng / 1e7 }
}

/** Locally administered and not of a group, as of a device that nobody made. */
function euiOf(seed: Uint8Array, name: string): string {
  const label = new TextEncoder().encode(`eui/${name}`)
  const bytes = sha256(new Uint8Array([...seed, ...label])).slice(0, 8)
  bytes[0] = ((bytes[0] as number) & 0xfc) | 0x02
  return hex(bytes)
}
