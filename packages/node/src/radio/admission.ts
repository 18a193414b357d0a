/** What every radio asks before it transmits: does the regional plan allow this frame, here, now? */
import { airtime, bandOf, type RegionalPlan } from '@cairn/protocol'
import type { Transmission, TransmitResult } from '../ports.ts'
import type { Booking, DutyCycleLedger } from './duty-cycle.ts'

export type Admission =
  | { admitted: true; booking: Booking /** Microseconds. */; airtime: number }
  | { admitted: false; result: TransmitResult & { sent: false } }

/** Books the airtime of an allowed frame. Errors: `badFrame`, those of the store. */
export async function admit(
  transmission: Transmission,
  plan: RegionalPlan,
  ledger: DutyCycleLedger,
): Promise<Admission> {
  const { frequency, power, payload, spreadingFactor, bandwidth } = transmission
  const band = bandOf(plan, frequency)
  if (band === undefined) {
    return refused('refused', `${frequency} Hz lies in no band of ${plan.name}`)
  }
  if (power > band.maxEirp) {
    return refused('refused', `${power / 10} dBm exceed ${band.maxEirp / 10} dBm in ${band.name}`)
  }
  const us = airtime({ bytes: payload.length, spreadingFactor, bandwidth })
  if (plan.dwell !== undefined && us > plan.dwell) {
    return refused('refused', `${us} us exceed the dwell time of ${plan.dwell} us`)
  }
  const booking = await ledger.book(frequency, us)
  if (booking !== undefined) return { admitted: true, booking, airtime: us }
  const spent = `${ledger.spent(frequency)} of ${ledger.allowance(frequency)} us`
  return refused('dutyCycle', `${spent} of this hour are spent in band ${band.name}`)
}

function refused(reason: 'refused' | 'dutyCycle', detail: string): Admission {
  return { admitted: false, result: { sent: false, reason, detail } }
}
