/** How it stands with each gateway of a daemon, and what it lacks before it earns. */
import { equalBytes, REGIONAL_PLANS, type RegistryEntry } from '@cairn/protocol'
import type { GatewayStatus } from './gateway.ts'
import type { Door } from './gwmp-server.ts'

export type LackCode =
  | 'noForwarder'
  | 'silentForwarder'
  | 'unregistered'
  | 'unbonded'
  | 'leaving'
  | 'noCell'
  | 'otherPlan'
  | 'otherNonces'

/** Something that keeps a gateway from earning. */
export interface Lack {
  code: LackCode
  text: string
  /** What the operator can do. */
  next: string
}

export interface GatewayFacts {
  online: boolean
  status: GatewayStatus
  /** Name of the plan that its transmitter keeps. */
  plan: string
  /** What the registry says of its node; undefined while it says nothing. */
  entry: RegistryEntry | undefined
  /** Where its forwarder is to send. */
  door: Door
  /** End of the nonce chain that this daemon holds for it. */
  nonceEnd: Uint8Array
}

/** What a gateway lacks, the radio first. */
export function lacksOf({ online, status, plan, entry, nonceEnd, door }: GatewayFacts): Lack[] {
  const lacks: Lack[] = []
  const lack = (code: LackCode, text: string, next: string) => lacks.push({ code, text, next })
  if (!online) {
    const point = pointingTo(door)
    if (status.heardAt === undefined) {
      lack('noForwarder', 'its packet forwarder has not been heard', point)
    } else {
      lack('silentForwarder', 'its packet forwarder has fallen silent', `${point}, or restart it`)
    }
  }
  if (entry === undefined) {
    const next =
      'run `cairn register --key N --at LATITUDE,LONGITUDE`; `cairn gateways` names the keys'
    lack('unregistered', 'its node is not in the registry', next)
    return lacks
  }
  const registered = REGIONAL_PLANS.find(({ code }) => code === entry.region)?.name
  if (entry.bond === 0n) {
    lack('unbonded', "its node's bond is missing", 'run `cairn bond add TOKENS --key N`')
  }
  if (entry.exitAt !== 0) {
    lack('leaving', 'its node has asked to leave', 'register it again under other keys to return')
  }
  if (entry.cell === 0n) {
    lack('noCell', 'its node has no cell', 'run `cairn place --at LATITUDE,LONGITUDE`')
  } else if (registered !== plan) {
    const text = `it is registered for ${registered ?? `plan ${entry.region}`}, and set to ${plan}`
    lack(
      'otherPlan',
      text,
      'run `cairn place --region PLAN`, or set its region to what is registered',
    )
  }
  if (entry.cell !== 0n && !equalBytes(entry.nonceEnd, nonceEnd)) {
    const text = 'another nonce chain is registered than this node holds'
    lack(
      'otherNonces',
      text,
      'start it with the words and the network that it was registered with; a chain is registered once',
    )
  }
  return lacks
}

const LOOPBACK = /^(?:127\.|::1$|localhost$)/

/** What to do that a forwarder is heard: where to point it, and what keeps it from coming in. */
function pointingTo({ host, port, foreignEui }: Door): string {
  const point = `point the gateway's packet forwarder at ${host}, UDP port ${port}`
  const outside = LOOPBACK.test(host)
    ? '; one on another machine does not reach that: set radio.host, such as to 0.0.0.0'
    : ''
  const refused =
    foreignEui === undefined
      ? ''
      : `; one with EUI ${foreignEui} was refused: if it is yours, set radio.eui (radio.gateways for several) to it`
  return `${point}${outside}${refused}`
}
