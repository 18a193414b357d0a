/**
 * Gateways of a field and what they are up to: honest ones stand where they say, cheats do not, or
 * do not say what they do.
 *
 * A cheat of the antenna or the packet forwarder is all in the field: the daemon behind it is an
 * honest one. Only a withheld reveal is not; who runs the daemon has to withhold it.
 */
import { cellCentre, check, type Position } from '@cairn/protocol'
import { Prng } from '../sim/prng.ts'
import type { FieldGateway } from './air.ts'
import { cellAt, Region, somewhere } from './places.ts'

/** By what they do. */
export const FIELD_CHEATS = [
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
export type FieldCheat = (typeof FIELD_CHEATS)[number]

/** So many that work together, where working together is the cheat. */
export interface CheatGroup {
  readonly kind: FieldCheat
  readonly gateways: number
}

export interface Resident {
  readonly name: string
  /** What it registers, resolution 12. */
  readonly cell: bigint
  readonly cheat: FieldCheat | undefined
  /** Cheats of one number work together; -1 of who is honest. */
  readonly group: number
  /** What it is in the field. */
  readonly gateway: FieldGateway
}

export interface Home {
  readonly name: string
  /** A cell's centre, or a position. */
  readonly at: bigint | Position
}

/** What an attenuating group puts before each antenna, 0.1 dB. */
const ATTENUATION = 250
/** What an over-powered transmitter adds to what it says, 0.1 dB. */
const EXCESS = 120
/** How far a spoofed cell lies from the antenna at least, and in a testnet at most, m. */
const SPOOFED_M = 3_000
const SPOOFED_MOST_M = 6_000
/** More of a kind are several groups. */
const GROUP_MAX = 10
export const RESIDENTS_MAX = 4_096

/** Groups of `spoofed=2,ring=5`. Errors: `badCheats`. */
export function parseCheats(text: string): CheatGroup[] {
  return text
    .split(',')
    .filter(part => part !== '')
    .flatMap(part => {
      const [kind = '', count = '1', ...more] = part.split('=')
      const fits = isCheat(kind) && /^[0-9]{1,4}$/.test(count) && more.length === 0
      check(fits, 'badCheats', `--cheats: '${part}' is not a kind of cheat and a number`, {
        facts: { part },
        next: `write kind=number, a kind alone for one, with a kind of ${FIELD_CHEATS.join(', ')}`,
      })
      return grouped(kind as FieldCheat, Number(count))
    })
}

function grouped(kind: FieldCheat, gateways: number): CheatGroup[] {
  const groups: CheatGroup[] = []
  for (let left = gateways; left > 0; left -= GROUP_MAX) {
    groups.push({ kind, gateways: Math.min(left, GROUP_MAX) })
  }
  return groups
}

export interface TownInit {
  /** 32 bytes. */
  seed: Uint8Array
  gateways: number
  /** Side of its square. */
  km: number
  cheats: readonly CheatGroup[]
}

/** A town, the last gateways of which cheat. Errors: `badField`, `badCheats`. */
export function town({ seed, gateways, km, cheats }: TownInit): Resident[] {
  const fits = Number.isInteger(gateways) && gateways >= 1 && gateways <= RESIDENTS_MAX
  // Beyond 3 km of a home there has to be another one, for cheats to claim.
  check(
    fits && km >= (cheats.length > 0 ? 5 : 1) && km <= 1_000,
    'badField',
    'a town has 1 to 4,096 gateways in 1 to 1,000 km, 5 at least where some cheat',
    {
      facts: { gateways, km },
    },
  )
  const region = new Region(seed, km)
  const homes = Array.from({ length: gateways }, (_, i) => ({
    name: `gw${i + 1}`,
    at: region.home(),
  }))
  return settle(homes, cheats, at => region.homeBeyond(at, SPOOFED_M))
}

/**
 * Gateways of a testnet, the last of which cheat: those that claim another place claim one 3 to 6 km
 * from where they are. Errors: `badCheats`.
 */
export function testnetResidents(
  homes: readonly Home[],
  cheats: readonly CheatGroup[],
  seed: Uint8Array,
): Resident[] {
  const prng = new Prng(seed, 'claims')
  return settle(homes, cheats, from =>
    somewhere(prng, { from, least: SPOOFED_M, most: SPOOFED_MOST_M }),
  )
}

function settle(
  homes: readonly Home[],
  cheats: readonly CheatGroup[],
  elsewhere: (at: Position) => Position,
): Resident[] {
  const members = cheats.flatMap(({ kind, gateways }, group) =>
    Array.from({ length: gateways }, () => ({ kind, group })),
  )
  const more = `--cheats: there are ${members.length} of them, and ${homes.length} gateways`
  check(members.length <= homes.length, 'badCheats', more, {
    facts: { cheats: members.length, gateways: homes.length },
  })
  const honest = homes.length - members.length
  const rooms = new Map<number, Home>()
  return homes.map((home, i) => {
    const member = members[i - honest]
    if (member === undefined) return residentAt(home)
    const { kind: cheat, group } = member
    const room = rooms.get(group) ?? home
    rooms.set(group, room)
    return { ...residentAt(home, disguise(cheat, { home, room, elsewhere })), cheat, group }
  })
}

function residentAt({ name, at }: Home, disguise: Partial<FieldGateway> = {}): Resident {
  const gateway: FieldGateway = { name, at, ...disguise }
  const { claim = at } = gateway
  const cell = typeof claim === 'bigint' ? claim : cellAt(claim)
  return { name, cell, cheat: undefined, group: -1, gateway }
}

interface Whereabouts {
  readonly home: Home
  /** Home of the group's first. */
  readonly room: Home
  elsewhere(at: Position): Position
}

/** What makes a cheat of an honest gateway, as far as antenna and forwarder go. */
function disguise(
  cheat: FieldCheat,
  { home, room, elsewhere }: Whereabouts,
): Partial<FieldGateway> {
  const group = room.name
  const claim = (from: Home) => elsewhere(positionOf(from.at))
  switch (cheat) {
    case 'spoofed':
      return { claim: claim(home) }
    case 'room':
      return { at: room.at, site: group, claim: claim(room) }
    case 'attenuated':
      return { at: room.at, site: group, claim: claim(room), attenuation: ATTENUATION }
    case 'oneReceiver':
      return { at: room.at, site: group, antenna: group, claim: claim(room) }
    case 'ring':
      return { mute: true, deaf: true, tale: { group, kind: 'ring' } }
    case 'forged':
    case 'relayed':
      return { tale: { group, kind: cheat } }
    case 'overpowered':
      return { excess: EXCESS }
    case 'mute':
      return { mute: true }
    case 'deaf':
      return { deaf: true }
    case 'withheld':
      return {}
  }
}

/** Of a cell its centre. */
export function positionOf(at: bigint | Position): Position {
  return typeof at === 'bigint' ? cellCentre(at) : at
}

function isCheat(text: string): text is FieldCheat {
  return (FIELD_CHEATS as readonly string[]).includes(text)
}
