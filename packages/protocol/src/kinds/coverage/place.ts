/** Where gateways are by their registered cells, and what lies between two of them. */

import {
  cellCentre,
  cellResolution,
  isCell,
  type Site,
  siteDistance,
  siteOf,
} from '../../radio/geo.ts'
import { demodulationLimit, freeSpaceLoss, sensitivity } from '../../radio/levels.ts'
import { planHolds } from '../../radio/regions.ts'
import type { RegistryEntry } from '../../registry.ts'
import { type Emission, planOf, powerLimit } from './frame.ts'
import type { Link } from './judgement.ts'

/** Coarsest resolution that a gateway may register. */
export const COARSEST_RESOLUTION = 10

/**
 * Metres from the centre to a corner of the widest cell of resolution 10 (83.6 m over 60,000 cells
 * of the whole earth). A finer cell is taken as its centre.
 */
export const WIDE_CELL_METRES = 84

export function hasCell({ cell }: Pick<RegistryEntry, 'cell'>): boolean {
  return isCell(cell) && cellResolution(cell) >= COARSEST_RESOLUTION
}

/** True iff the registered plan is known and holds at the registered cell. */
export function hasRegion(entry: RegistryEntry): boolean {
  const plan = planOf(entry)
  return plan !== undefined && hasCell(entry) && planHolds(plan, cellCentre(entry.cell))
}

/**
 * Both entries have a cell and the beaconer a plan. What a radio says it sent counts up to what its
 * band allows, so that overstating it does not make room for a louder reception.
 */
export function linkOf(beaconer: RegistryEntry, witness: RegistryEntry, sent: Emission): Link {
  const distance = siteDistance(siteOfEntry(beaconer), siteOfEntry(witness))
  const slack = slackOf(beaconer) + slackOf(witness)
  const plan = planOf(beaconer)
  const limit = plan === undefined ? undefined : powerLimit(plan, sent.frequency)
  return {
    distance,
    slack,
    loss: freeSpaceLoss(Math.max(0, distance - slack), sent.frequency),
    sent: Math.min(sent.power, limit ?? sent.power) + witness.gain,
    sensitivity: sensitivity(sent),
    snrLimit: demodulationLimit(sent.spreadingFactor),
  }
}

/** Metres by which a cell may mislead about where in it the node is. */
export function slackOf({ cell }: Pick<RegistryEntry, 'cell'>): number {
  return cellResolution(cell) === COARSEST_RESOLUTION ? WIDE_CELL_METRES : 0
}

const sites = new WeakMap<RegistryEntry, Site>()

/** Found once for as long as its entry is held: each gateway is an end of many links. */
function siteOfEntry(entry: RegistryEntry): Site {
  let site = sites.get(entry)
  if (site === undefined) {
    site = siteOf(entry.cell)
    sites.set(entry, site)
  }
  return site
}
