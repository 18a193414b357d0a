/**
 * What a packet forwarder means by refusing a frame. The words are those of PROTOCOL.md of the sx1302
 * forwarder and of PROTOCOL.TXT before it.
 */

const REFUSALS: Readonly<Record<string, string>> = {
  TOO_LATE: 'it was too late to send it; the gateway is overloaded, or its clock is wrong',
  TOO_EARLY: 'it is due too far ahead; the clock of the gateway is wrong',
  COLLISION_PACKET: 'another frame is to be sent then; does another server use the gateway too?',
  COLLISION_BEACON: 'a Class B beacon is to be sent then',
  TX_FREQ: 'its configuration does not allow this frequency; is it that of the plan set here?',
  TX_POWER: 'its configuration does not allow this power; complete its table of powers',
  GPS_UNLOCKED: 'it has no GPS time; can its antenna see the sky?',
}

/** A forwarder's word with its meaning; of one that is no word nothing is repeated. */
export function refusal(error: string): string {
  const meaning = Object.hasOwn(REFUSALS, error) ? REFUSALS[error] : undefined
  if (meaning !== undefined) return `${error}: ${meaning}`
  return /^[A-Z_]{1,32}$/.test(error) ? error : 'the forwarder refused in unknown words'
}
