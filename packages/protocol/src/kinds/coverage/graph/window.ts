/**
 * The beacons of the last `graphEpochs` as the graph rules read them: who was heard by whom, and how
 * much the way between them took. It is carried from epoch to epoch, so that everybody who settles
 * has the same numbers. Integers only; levels and losses in 0.1 dB.
 */
import { ListCompositeType } from '@chainsafe/ssz'
import { CarriedContainerType } from '../../../carried.ts'
import { ContainerType, Uint16, Uint32, type ValueOf } from '../../../ssz.ts'

/** Witnesses of a beacon that are remembered; those of lowest hash, as for the fourteen. */
export const HEARINGS_MAX = 64
/** Beacons remembered at most: 65,536 gateways with 28 rounds in the window. */
const WINDOW_MAX = 2 ** 21

/** A loss that the witness's radio did not give. */
export const ABSENT_LOSS = 65_535
/** Power of a beacon that was asked for in time and not validly revealed: one that nobody heard. */
export const UNREVEALED = 65_535

export const Hearing = new ContainerType(
  {
    witness: Uint32,
    /** Of the way, as measured: what was radiated and the witness's gain, less the level. */
    loss: Uint16,
    /** Of the witness in 125 kHz: a level, or `ABSENT_LEVEL`. */
    noise: Uint16,
    /** 20 log10 of the metres between the two registered cells: loss but for a constant. */
    spreading: Uint16,
  },
  { typeName: 'Hearing' },
)
export type Hearing = ValueOf<typeof Hearing>

export const HeardBeacon = new CarriedContainerType(
  {
    epoch: Uint32,
    beaconer: Uint32,
    /** Radiated, 0.1 dBm + 32,768; or `UNREVEALED`. */
    power: Uint16,
    /** By ascending witness. */
    hearings: new ListCompositeType(Hearing, HEARINGS_MAX),
  },
  { typeName: 'HeardBeacon' },
)
export type HeardBeacon = ValueOf<typeof HeardBeacon>

/** By epoch, then beaconer. */
export const Window = new ListCompositeType(HeardBeacon, WINDOW_MAX, { typeName: 'Window' })
export type Window = ValueOf<typeof Window>
