/** What every radio asks before it transmits: does the regional plan allow this frame, here, now? */
import { airtime, bandOf, type RegionalPlan } from '@cairn/protocol'
import type { Transmission, TransmitResult } from '../ports.ts'
import type { Booking, DutyCycleLedger } from './duty-cycle.ts'

export type Admission =
  | { admitted: true; booking: Booking /** Microseconds. */; airtime: number }
  | { admitted: false; result: TransmitResult & { sent: false } }

/**
 * Books the airtime of an allowed frame. `keep`: what has to be left of the hour after it,
 * microseconds. Errors: `badFrame`, those of the store.
 */
export async function admit(
  transmission: Transmission,
  plan: RegionalPlan,
  ledger: DutyCycleLedger,
  keep = 0,
): Promise<Admission> {
  const { frequency, power, payload, spreadingFactor, bandwidth } = transmission
  const band = bandOf(plan, frequency)
  if (band === undefined) {
    return refused('refused', `${frequency} Hz lies in no band of ${plan.name}`, 'TX_FREQ')
  }
  if (power > band.maxEirp) {
    const text = `${power / 10} dBm exceed ${band.maxEirp / 10} dBm in ${band.name}`
    return refused('refused', text, 'TX_POWER')
  }
  const us = airtime({ bytes: payload.length, spreadingFactor, bandwidth })
  if (plan.dwell !== undefined && us > plan.dwell) {
    return refused('refused', `${us} us exceed the dwell time of ${plan.dwell} us`)
  }
  const booking = await ledger.book(frequency, us, keep)
  if (booking !== undefined) return { admitted: true, booking, airtime: us }
  const spent = `${ledger.spent(frequency)} of ${ledger.allowance(frequency)} us`
  return refused('dutyCycle', `${spent} of this hour are spent in band ${band.name}`)
}

function refused(reason: 'refused' | 'dutyCycle', detail: string, word?: string): Admission {
  const result = { sent: false, reason, detail, ...(word !== undefined && { word }) } as const
  return { admitted: false, result }
}
