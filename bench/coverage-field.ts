/**
 * A town of gateways, some of which cheat, and what each round of beacons would be reported as. No
 * daemons and no messages: receptions alone, as the rules of settlement read them.
 *
 * Places, physics and cheats are those of the radio field (`packages/testnet/src/field`), with the
 * frames one at a time: without collisions, so that what differs is the cheating. Cheats come in
 * groups of ten that share what they hear.
 */
import { chord, type Vector, vectorOf } from '@cairn/protocol'
import { Air, type CheatGroup, type FieldCheat, Prng, type Resident, town } from '@cairn/testnet'
import { latLngToCell } from 'h3-js'

export interface CheatingTownInit {
  seed: number
  gateways: number
  /** Side of the square; 30 unless given. */
  km?: number
  /** Share that cheats. */
  share: number
  /** Groups take turns over these. */
  kinds: readonly FieldCheat[]
  rounds: number
  roundEpochs: number
}

export interface Gateway {
  readonly node: number
  readonly cheat: FieldCheat | undefined
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
const BANDWIDTH = 125
const SIDE_KM = 30
const GROUP = 10
const HOME = { lat: 49.2, lng: 16.6 }
const METRES_PER_DEGREE = 111_195
/** 0.1 dBi of every antenna, known to the registry. */
export const GAIN = 20
const PAYLOAD = new Uint8Array(25)

export interface CrowdInit {
  gateways: number
  /** Of each beacon. */
  witnesses: number
  rounds: number
  roundEpochs: number
}

/** Honest gateways a kilometre apart, each heard by as many of those around it in every round. */
export function crowd({ gateways: count, witnesses, rounds, roundEpochs }: CrowdInit): Town {
  const random = new Prng(seedOf(1), 'crowd')
  const side = Math.ceil(Math.sqrt(count))
  const gateways = Array.from({ length: count }, (_, node) => {
    const at = { x: (node % side) * 1_000, y: Math.floor(node / side) * 1_000 }
    return { node, cheat: undefined, group: -1, cell: cellAt(at) }
  })
  const vectors = gateways.map(({ cell }) => vectorOf(cell))
  const places = gateways.map(({ node, cell }) => ({ name: nameOf(node), at: cell }))
  const air = new Air({ seed: seedOf(1), gateways: places })
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
        const loss = air.pathLoss(nameOf(node), nameOf(other), FREQUENCY)
        return { other, metres, loss: Math.round(10 * loss) }
      })
  })
  const sent: Transmission[] = []
  for (let round = 0; round < rounds; round++) {
    for (const { node } of gateways) {
      const near = around[node] as (typeof around)[number]
      const skipped = random.below(Math.max(1, near.length - witnesses + 1))
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

/** From one seed. */
export function cheatingTown(init: CheatingTownInit): Town {
  const { gateways: count, share, kinds } = init
  const cheats = kinds.length === 0 ? 0 : Math.floor(count * share)
  const length = Math.ceil(cheats / GROUP)
  const groups = Array.from(
    { length },
    (_, group): CheatGroup => ({
      // Other kinds in each town: all are met where there are more kinds than groups.
      kind: kinds[(init.seed * length + group) % kinds.length] as FieldCheat,
      gateways: Math.min(GROUP, cheats - group * GROUP),
    }),
  )
  const residents = town({
    seed: seedOf(init.seed),
    gateways: count,
    km: init.km ?? SIDE_KM,
    cheats: groups,
  })
  const gateways = residents.map(({ cheat, group, cell }, node) => ({ node, cheat, group, cell }))
  return { gateways, transmissions: transmissions(init, residents) }
}

function transmissions(
  { seed, rounds, roundEpochs }: CheatingTownInit,
  residents: readonly Resident[],
): Transmission[] {
  const random = new Prng(seedOf(seed), 'transmissions')
  const air = new Air({ seed: seedOf(seed), gateways: residents.map(({ gateway }) => gateway) })
  const vectors = residents.map(({ cell }) => vectorOf(cell))
  const nodes = new Map(residents.map(({ name }, node) => [name, node]))
  const sent: Transmission[] = []
  for (let round = 0; round < rounds; round++) {
    for (const [beaconer, { name, cheat }] of residents.entries()) {
      const epoch = round * roundEpochs + random.below(roundEpochs)
      const spreadingFactor = 7 + random.below(6)
      const power = 160 - 20 * random.below(8)
      const frame = { payload: PAYLOAD, frequency: FREQUENCY, spreadingFactor, eirp: power }
      const emission = air.emit(name, { ...frame, bandwidth: BANDWIDTH }, sent.length)
      const receptions = air.receptions(emission).map(({ gateway, heard, told }): Reception => {
        const witness = nodes.get(gateway) as number
        return {
          witness,
          level: heard.rssis ?? heard.rssi,
          snr: heard.snr,
          distance: chord(vectors[beaconer] as Vector, vectors[witness] as Vector),
          arrival: told ? random.below(10) : 100 + random.below(400),
        }
      })
      const revealed = cheat !== 'withheld'
      sent.push({
        epoch,
        beaconer,
        spreadingFactor,
        power,
        revealed,
        receptions: revealed ? receptions.sort((a, b) => a.witness - b.witness) : [],
      })
    }
  }
  return sent.sort((a, b) => a.epoch - b.epoch || a.beaconer - b.beaconer)
}

function cellAt({ x, y }: { x: number; y: number }): bigint {
  const lat = HOME.lat + y / METRES_PER_DEGREE
  const lng = HOME.lng + x / (METRES_PER_DEGREE * Math.cos((HOME.lat * Math.PI) / 180))
  return BigInt(`0x${latLngToCell(lat, lng, 12)}`)
}

function nameOf(node: number): string {
  return `gw${node}`
}

function seedOf(seed: number): Uint8Array {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setUint32(0, seed)
  return bytes
}
