/**
 * What a LoRaWAN uplink says of itself without any key: its kind, and the address by which a network
 * server knows whether it is for it. (LoRaWAN 1.0.4 and 1.1, chapter 4.)
 */
import { ABSENT_LEVEL, encodeLevel, isBeaconFrame } from '@cairn/protocol'
// The package's own entry is typed as another shape than it has.
import codec from 'lora-packet/out/lib/LoraPacket.js'
import type { SalePacket } from '../kinds/coverage/sales.ts'
import type { HeardPacket } from './heard.ts'

/** MHDR, DevAddr, FCtrl, FCnt and MIC; the codec reads on without looking. */
const DATA_MIN_BYTES = 12
const JOIN_BYTES = 23

/** MType: the upper three bits of the first byte. */
const MTYPE = { joinRequest: 0, unconfirmed: 2, confirmed: 4, rejoinRequest: 6 } as const

export interface LorawanUplink {
  kind: keyof typeof MTYPE
  /** Of data: 32 bits. */
  devAddr?: number
  /** Of data: the lower 16 bits of its counter. */
  counter?: number
  /** Of a join request. */
  joinEui?: bigint
  devEui?: bigint
}

/** Undefined for what is no uplink: a downlink, something proprietary, or too short to be one. */
export function readUplink(payload: Uint8Array): LorawanUplink | undefined {
  const type = (payload[0] ?? 0xff) >>> 5
  if (type === MTYPE.joinRequest) {
    if (payload.length !== JOIN_BYTES) return undefined
    const { AppEUI, DevEUI } = codec.default.fromWire(Buffer.from(payload))
    return { kind: 'joinRequest', joinEui: eui(AppEUI), devEui: eui(DevEUI) }
  }
  if (type === MTYPE.unconfirmed || type === MTYPE.confirmed) {
    if (payload.length < DATA_MIN_BYTES + ((payload[5] ?? 0) & 0x0f)) return undefined
    const packet = codec.default.fromWire(Buffer.from(payload))
    return {
      kind: type === MTYPE.confirmed ? 'confirmed' : 'unconfirmed',
      devAddr: packet.DevAddr?.readUInt32BE() ?? 0,
      counter: packet.getFCnt() ?? 0,
    }
  }
  return type === MTYPE.rejoinRequest && isRejoin(payload) ? { kind: 'rejoinRequest' } : undefined
}

/** A packet as it is sold; undefined for what is no uplink that came through whole. */
export function salePacketOf({ packet, at }: HeardPacket): SalePacket | undefined {
  const { payload, frequency, modulation, rssi, snr, crc } = packet
  const uplink = crc === 'ok' && !isBeaconFrame(payload) ? readUplink(payload) : undefined
  if (uplink === undefined) return undefined
  const lora = modulation.name === 'LORA' ? modulation : { spreadingFactor: 0, bandwidth: 0 }
  return {
    payload,
    type: MTYPE[uplink.kind],
    address: uplink.joinEui ?? BigInt(uplink.devAddr ?? 0),
    frequency,
    spreadingFactor: lora.spreadingFactor,
    bandwidth: lora.bandwidth,
    rssi: encodeLevel(rssi),
    snr: snr === undefined ? ABSENT_LEVEL : encodeLevel(snr),
    at,
  }
}

/** Types 0 and 2 carry a NetID, type 1 a JoinEUI. */
function isRejoin(payload: Uint8Array): boolean {
  const type = payload[1]
  return (
    (payload.length === 19 && (type === 0 || type === 2)) || (payload.length === 24 && type === 1)
  )
}

function eui(bytes: Buffer | undefined): bigint {
  return bytes?.readBigUInt64BE() ?? 0n
}
