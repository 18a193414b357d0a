/** What settlement carries of each gateway from epoch to epoch. */
import { ListCompositeType } from '@chainsafe/ssz'
import type { RegistryEntry } from '../../registry.ts'
import { Bytes32, ContainerType, Uint32, type ValueOf } from '../../ssz.ts'
import { PaidService } from './anchors.ts'
import { Bought } from './bought.ts'
import { Window } from './graph/window.ts'
import { Timings } from './latency/location.ts'
import type { NonceAnchor } from './nonce.ts'

/** `validEpoch` of a gateway that never had a valid beacon or report. */
export const NEVER = 2 ** 32 - 1

/** Registered nodes at most, as in the tree of penalties. */
const GATEWAY_STATES_MAX = 2 ** 24
/** Pairs of server and gateway, and parts of paid service. */
const SERVICE_MAX = 2 ** 32

export const GatewayState = new ContainerType(
  {
    node: Uint32,
    /** Newest valid nonce and the gateway's own round that it belongs to; round 0: none yet. */
    nonceRound: Uint32,
    nonce: Bytes32,
    /** Last epoch with a valid beacon or report. */
    validEpoch: Uint32,
  },
  { typeName: 'GatewayState' },
)
export type GatewayState = ValueOf<typeof GatewayState>

export const CoverageState = new ContainerType(
  {
    /** By ascending node, without repetition. */
    gateways: new ListCompositeType(GatewayState, GATEWAY_STATES_MAX),
    /** The beacons of the last `graphEpochs`. */
    window: Window,
    /** Packets paid since the beginning, by ascending server and gateway, without repetition. */
    bought: new ListCompositeType(Bought, SERVICE_MAX),
    /** Packets paid in the last `anchorEpochs`, by ascending part and gateway, likewise. */
    service: new ListCompositeType(PaidService, SERVICE_MAX),
    /** The newest measurements of where gateways answer from. */
    timings: Timings,
  },
  { typeName: 'CoverageState' },
)
export type CoverageState = ValueOf<typeof CoverageState>

export function emptyCoverageState(): CoverageState {
  return { gateways: [], window: [], bought: [], service: [], timings: [] }
}

/** By bisection, so that a single look-up needs no index of its own. */
export function gatewayState(
  { gateways }: Pick<CoverageState, 'gateways'>,
  node: number,
): GatewayState | undefined {
  let low = 0
  let high = gateways.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((gateways[middle] as GatewayState).node < node) low = middle + 1
    else high = middle
  }
  const found = gateways[low]
  return found?.node === node ? found : undefined
}

/** The newest value of the gateway's nonce chain known before `round`. */
export function nonceAnchor(
  state: CoverageState,
  { index, nonceEnd }: RegistryEntry,
  round: number,
): NonceAnchor {
  const carried = gatewayState(state, index)
  if (carried !== undefined && carried.nonceRound > 0 && carried.nonceRound < round) {
    return { round: carried.nonceRound, nonce: carried.nonce }
  }
  return { round: 0, nonce: nonceEnd }
}
