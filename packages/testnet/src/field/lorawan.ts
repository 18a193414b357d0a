/**
 * LoRaWAN 1.0 data uplinks as end devices send them (LoRaWAN L2 1.0.4, section 4): payload by
 * AES-128 in the specification's counter mode, integrity by AES-CMAC (RFC 4493).
 */
import { createCipheriv } from 'node:crypto'
import { check } from '@cairn/protocol'

const BLOCK = 16
const MHDR_UNCONFIRMED_UP = 0x40
/** Rb of RFC 4493. */
const CMAC_CONSTANT = 0x87
export const UPLINK_PAYLOAD_MAX = 222

/** Activated by personalisation: keys are known to the device and its network. */
export interface DeviceKeys {
  readonly devAddr: number
  /** 16 bytes each. */
  readonly nwkSKey: Uint8Array
  readonly appSKey: Uint8Array
}

export interface Uplink {
  /** Frames sent before; only its lower 16 bits are in the frame. */
  readonly counter: number
  /** 1 to 223. */
  readonly port: number
  /** At most 222 bytes. */
  readonly payload: Uint8Array
}

/** The PHYPayload of an unconfirmed uplink. Errors: `badFrame`. */
export function encodeUplink(keys: DeviceKeys, { counter, port, payload }: Uplink): Uint8Array {
  check(payload.length <= UPLINK_PAYLOAD_MAX, 'badFrame', 'an uplink carries at most 222 bytes', {
    facts: { bytes: payload.length },
  })
  const head = new Uint8Array(9)
  const view = new DataView(head.buffer)
  view.setUint8(0, MHDR_UNCONFIRMED_UP)
  view.setUint32(1, keys.devAddr, true)
  view.setUint16(6, counter & 0xffff, true)
  view.setUint8(8, port)
  const message = Buffer.concat([head, crypt(keys, counter, payload)])
  const block = blockOf(0x49, keys, counter)
  block[15] = message.length
  const mic = cmac(keys.nwkSKey, Buffer.concat([block, message])).subarray(0, 4)
  return new Uint8Array(Buffer.concat([message, mic]))
}

/** AES-CMAC, 16 bytes. */
export function cmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const last = Math.max(Math.ceil(message.length / BLOCK) - 1, 0)
  const tail = message.subarray(last * BLOCK)
  const once = doubled(encrypt(key, new Uint8Array(BLOCK)))
  const padded = new Uint8Array(BLOCK)
  padded.set(tail)
  if (tail.length < BLOCK) padded[tail.length] = 0x80
  const mask = tail.length === BLOCK ? once : doubled(once)
  let state: Uint8Array = new Uint8Array(BLOCK)
  for (let at = 0; at < last; at++) {
    state = encrypt(key, xor(state, message.subarray(at * BLOCK, (at + 1) * BLOCK)))
  }
  return encrypt(key, xor(state, xor(padded, mask)))
}

/** Encrypts and decrypts. */
function crypt(keys: DeviceKeys, counter: number, payload: Uint8Array): Uint8Array {
  const result = new Uint8Array(payload)
  for (let at = 0; at * BLOCK < payload.length; at++) {
    const block = blockOf(0x01, keys, counter)
    block[15] = at + 1
    const stream = encrypt(keys.appSKey, block)
    for (let i = at * BLOCK; i < Math.min((at + 1) * BLOCK, payload.length); i++) {
      result[i] = (payload[i] as number) ^ (stream[i - at * BLOCK] as number)
    }
  }
  return result
}

/** Common form of the blocks A_i and B_0 of an uplink. */
function blockOf(first: number, { devAddr }: DeviceKeys, counter: number): Uint8Array {
  const block = new Uint8Array(BLOCK)
  const view = new DataView(block.buffer)
  view.setUint8(0, first)
  view.setUint32(6, devAddr, true)
  view.setUint32(10, counter, true)
  return block
}

/** One block of AES-128. */
function encrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false)
  return new Uint8Array(cipher.update(block))
}

/** Times x in GF(2^128). */
function doubled(block: Uint8Array): Uint8Array {
  const result = block.map((byte, i) => ((byte << 1) & 0xff) | ((block[i + 1] ?? 0) >> 7))
  if (((block[0] as number) & 0x80) !== 0) result[15] = (result[15] as number) ^ CMAC_CONSTANT
  return result
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] as number))
}
