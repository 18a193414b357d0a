/** Who could have taken part in an epoch's beacons: the gateways as registry and state know them. */
import type { EpochBase } from '../../../kind.ts'
import { hex } from '../../../ssz.ts'
import { isDrawn, isGateway } from '../draw.ts'
import { planOf } from '../frame.ts'
import { hasCell } from '../place.ts'
import { type CoverageState, gatewayState, NEVER } from '../state.ts'

export interface GatewayStanding {
  readonly node: number
  /** 20 bytes in hexadecimal. */
  readonly operator: string
  /** H3 index in hexadecimal; absent where none of resolution 10 or finer is registered. */
  readonly cell?: string
  /** Name of the regional plan; absent for a code without one. */
  readonly plan?: string
  /** 0.1 dBi. */
  readonly gain: number
  /** True iff the epoch asks it for a beacon. */
  readonly drawn: boolean
  /** Last epoch before this one with a valid beacon or report; absent: none. */
  readonly validEpoch?: number
}

/** By ascending node; `state` is that before the epoch. */
export function gatewayStandings(
  base: EpochBase,
  state: Pick<CoverageState, 'gateways'>,
): GatewayStanding[] {
  return base.nodes.filter(isGateway).map(entry => {
    const plan = planOf(entry)?.name
    const validEpoch = gatewayState(state, entry.index)?.validEpoch ?? NEVER
    return {
      node: entry.index,
      operator: hex(entry.operator),
      ...(hasCell(entry) && { cell: entry.cell.toString(16) }),
      ...(plan !== undefined && { plan }),
      gain: entry.gain,
      drawn: isDrawn(base, entry.index),
      ...(validEpoch !== NEVER && { validEpoch }),
    }
  })
}
