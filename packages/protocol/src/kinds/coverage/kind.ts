/** Coverage as the kernel knows it: a radio heard where it says it is. */
import { MessageType } from '../../domain.ts'
import type { EpochBase, Kind, MessageRule } from '../../kind.ts'
import type { Challenge, EpochMessage } from '../../messages.ts'
import { packetReceiptRule } from './bought.ts'
import { COVERAGE, hasNonce, isDrawn, isGateway } from './draw.ts'
import { checkEvidence } from './evidence.ts'
import { measurementRule } from './latency/measurement.ts'
import { hasCell, hasRegion } from './place.ts'
import { beaconRule, commitRule, reportRule } from './relay.ts'
import { settleCoverage } from './settle.ts'
import { revealSlot } from './slots.ts'
import { CoverageState, emptyCoverageState } from './state.ts'

/**
 * Asked are the gateways that the epoch draws, have a cell in their regional plan, and a nonce for
 * the round. A base holds the seeds of the round's earlier epochs; one without throws `seedUnknown`.
 */
function targets(base: EpochBase): number[] {
  return base.nodes
    .filter(entry => isGateway(entry) && hasNonce(entry, base) && hasCell(entry))
    .filter(entry => isDrawn(base, entry.index) && hasRegion(entry))
    .map(({ index }) => index)
}

export const coverage: Kind<CoverageState> = {
  code: COVERAGE,
  name: 'coverage',
  stateCodec: CoverageState,
  emptyState: emptyCoverageState,
  targets,
  revealSlot,
  needless: (base, target, order, known) => {
    if (order === 0) return false
    const { challengers } = base.duty(COVERAGE, target)
    return known
      .ofType<Challenge>(MessageType.challenge, COVERAGE)
      .some(({ value }) => value.target === target && challengers.indexOf(value.author) < order)
  },
  messages: [
    commitRule,
    beaconRule(base => base.state(coverage)),
    reportRule,
    packetReceiptRule(base => base.state(coverage)),
    measurementRule((base, target) => base.isTarget(coverage, target)),
  ] as unknown as readonly MessageRule<EpochMessage>[],
  standing: [],
  checkEvidence,
  settle: settleCoverage,
}
