/**
 * What forwarders tell a server, for whoever listens: every packet of every radio, LoRa and FSK,
 * good CRC or not, with the EUI of the gateway that heard it, and every report of its counters.
 * A packet that several channels demodulated is told once.
 */
import { type ForwarderStat, invariant, type Rxpk } from '@cairn/protocol'
import type { Reception } from '../ports.ts'

export interface HeardPacket {
  /** 16 hexadecimal digits, lower case. */
  eui: string
  packet: Rxpk
  /** Local time of arrival, ms since 1970. */
  at: number
}

export interface HeardStat {
  eui: string
  stat: ForwarderStat
  /** Local time of arrival, ms since 1970. */
  at: number
}

/** A packet as the radio port hands it on. Only for one in which `faultOf` finds nothing. */
export function receptionOf({ packet, at }: HeardPacket): Reception {
  const { payload, frequency, modulation, rssi, rssis, snr, tmst, tmms, ftime } = packet
  invariant(modulation.name === 'LORA' && snr !== undefined, 'a reception is LoRa with its SNR')
  const { spreadingFactor, bandwidth } = modulation
  return {
    payload,
    frequency,
    spreadingFactor,
    bandwidth,
    rssi,
    ...(rssis !== undefined && { rssis }),
    snr,
    tmst,
    ...(tmms !== undefined && { tmms }),
    ...(ftime !== undefined && { ftime }),
    at,
  }
}

/** Why a packet is none that could be a beacon; undefined: it is one. */
export function faultOf({ modulation, crc, snr }: Rxpk): string | undefined {
  if (modulation.name !== 'LORA') return 'fsk'
  if (crc !== 'ok') return crc === 'bad' ? 'badCrc' : 'noCrc'
  return snr === undefined ? 'noSnr' : undefined
}
