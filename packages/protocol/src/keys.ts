/**
 * A node's three keys from its 24 words, each by its ecosystem's own standard, so that any wallet
 * or staking tool recovers them and a backup of the words is a backup of the node.
 */

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bytesToNumberBE, numberToBytesBE } from '@noble/curves/utils.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 as portableSha256, sha512 } from '@noble/hashes/sha2.js'
import { HDKey } from '@scure/bip32'
import { entropyToMnemonic, mnemonicToSeedSync, validateMnemonic } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import { bls, ed25519, keccak256, sha256 } from '#crypto'
import { check, invariant } from './errors.ts'

/** Entropy of 24 words. */
export const ENTROPY_BYTES = 32
export const MNEMONIC_WORDS = 24

/** SLIP-44 has no entry for the project; 3131 is unassigned there. */
const COIN = 3131
/** Both paths end as their standards have it: with the account, and with account and use. */
const identityPath = (number: number) => [44, COIN, number]
const votingPath = (number: number) => [12381, COIN, number, 0]
/** Above it a SLIP-10 index would not be hardened again. */
const NUMBER_MAX = 2 ** 31 - 1
const ACCOUNT_PATH = "m/44'/60'/0'/0/0"

/** Words of a node's name. */
const NAME_WORDS = 3
const BITS_PER_WORD = 11

/** Order of the BLS12-381 groups. */
const BLS_ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001n
/** Bytes that make the remainder modulo BLS_ORDER uniform: ceil(1.5 * ceil(log2(r)) / 8). */
const BLS_WIDE_BYTES = 48
const LAMPORT_CHUNKS = 255

export interface NodeKeys {
  /** Ed25519: 32-byte seed and key. The peer id; signs every message but outputs and votes. */
  identity: { secret: Uint8Array; publicKey: Uint8Array }
  /** BLS12-381 min-pk: 32-byte scalar, 48-byte key. Signs verifiable outputs and votes. */
  voting: { secret: Uint8Array; publicKey: Uint8Array }
  /** secp256k1: 32-byte scalar, 20-byte address. Signs chain transactions. */
  account: AccountKey
}

export interface AccountKey {
  secret: Uint8Array
  address: Uint8Array
}

/** 24 words for 32 bytes of entropy. */
export function mnemonicOf(entropy: Uint8Array): string {
  invariant(entropy.length === ENTROPY_BYTES, 'a mnemonic is made from 32 bytes of entropy')
  return entropyToMnemonic(entropy, wordlist)
}

/**
 * The mnemonic in its one form: 24 lower-case English words, single spaces. Throws
 * `mnemonicLength`, `mnemonicWord` (with the position, never the word) or `mnemonicChecksum`.
 */
export function parseMnemonic(text: string): string {
  const words = text.normalize('NFKD').toLowerCase().split(/\s+/u).filter(Boolean)
  check(
    words.length === MNEMONIC_WORDS,
    'mnemonicLength',
    `expected ${MNEMONIC_WORDS} words, found ${words.length}`,
    { facts: { found: words.length } },
  )
  const unknown = words.findIndex(word => !wordlist.includes(word))
  check(unknown < 0, 'mnemonicWord', `word ${unknown + 1} is not in the BIP-39 English list`, {
    facts: { position: unknown + 1 },
    next: 'compare the word with your backup',
  })
  const mnemonic = words.join(' ')
  check(
    validateMnemonic(mnemonic, wordlist),
    'mnemonicChecksum',
    'the words are known but do not fit together: the checksum is wrong',
    { next: 'compare the words and their order with your backup' },
  )
  return mnemonic
}

/**
 * All keys of a node. The words hold as many nodes as wanted, by number: 0 is the daemon's own, others
 * are those of further gateways; the account is one. Throws as `parseMnemonic`. BIP-39 makes it slow:
 * tens of ms.
 */
export function deriveKeys(mnemonic: string, number = 0): NodeKeys {
  invariant(
    Number.isInteger(number) && number >= 0 && number <= NUMBER_MAX,
    'a node of the words has a number from 0 to 2^31 - 1',
  )
  const seed = mnemonicToSeedSync(parseMnemonic(mnemonic))
  const identity = ed25519Secret(seed, identityPath(number))
  const voting = blsSecret(seed, votingPath(number))
  return {
    identity: { secret: identity, publicKey: ed25519.publicKey(identity) },
    voting: { secret: voting, publicKey: bls.publicKey(voting) },
    account: accountKey(seed),
  }
}

/** SLIP-10 for Ed25519: every level of `path` is hardened, as the curve demands. */
export function ed25519Secret(seed: Uint8Array, path: readonly number[]): Uint8Array {
  let node = hmac(sha512, new TextEncoder().encode('ed25519 seed'), seed)
  for (const index of path) {
    const data = new Uint8Array(37)
    data.set(node.subarray(0, 32), 1)
    new DataView(data.buffer).setUint32(33, (index | 0x80000000) >>> 0)
    node = hmac(sha512, node.subarray(32), data)
  }
  return node.slice(0, 32)
}

/** EIP-2333 along a path of EIP-2334: a 32-byte big-endian scalar. */
export function blsSecret(seed: Uint8Array, path: readonly number[]): Uint8Array {
  return path.reduce((parent, index) => wideScalar(lamportKey(parent, index)), wideScalar(seed))
}

/** The first Ethereum account of a BIP-39 seed (BIP-44), as every wallet derives it. */
export function accountKey(seed: Uint8Array): AccountKey {
  const secret = HDKey.fromMasterSeed(seed).derive(ACCOUNT_PATH).privateKey
  invariant(secret !== null, 'a key derived from a seed has its secret')
  return { secret, address: accountAddress(secret) }
}

/** The 20-byte chain address of a secp256k1 secret. */
export function accountAddress(secret: Uint8Array): Uint8Array {
  return keccak256(secp256k1.getPublicKey(secret, false).subarray(1)).slice(12)
}

/** Three BIP-39 words that name an identity key to people; 33 bits, so never an identifier. */
export function nodeName(publicKey: Uint8Array): string {
  const bits = new DataView(sha256(publicKey).slice(0, 8).buffer).getBigUint64(0)
  return Array.from({ length: NAME_WORDS }, (_, i) => {
    const word = BigInt.asUintN(BITS_PER_WORD, bits >> BigInt(64 - BITS_PER_WORD * (i + 1)))
    return wordlist[Number(word)]
  }).join('-')
}

/** EIP-2333 hkdf_mod_r: 32 bytes big-endian. */
function wideScalar(material: Uint8Array): Uint8Array {
  const ikm = new Uint8Array(material.length + 1)
  ikm.set(material)
  const info = Uint8Array.of(0, BLS_WIDE_BYTES)
  let salt: Uint8Array = new TextEncoder().encode('BLS-SIG-KEYGEN-SALT-')
  for (;;) {
    salt = portableSha256(salt)
    const wide = hkdf(portableSha256, ikm, salt, info, BLS_WIDE_BYTES)
    const scalar = bytesToNumberBE(wide) % BLS_ORDER
    if (scalar !== 0n) return numberToBytesBE(scalar, 32)
  }
}

/** EIP-2333 parent_SK_to_lamport_PK: the compressed Lamport key of a child. */
function lamportKey(parent: Uint8Array, index: number): Uint8Array {
  const salt = new Uint8Array(4)
  new DataView(salt.buffer).setUint32(0, index)
  const pieces = [parent, parent.map(byte => ~byte)].flatMap(ikm => {
    const chunks = hkdf(portableSha256, ikm, salt, undefined, LAMPORT_CHUNKS * 32)
    return Array.from({ length: LAMPORT_CHUNKS }, (_, i) => chunks.subarray(i * 32, i * 32 + 32))
  })
  const key = new Uint8Array(pieces.length * 32)
  pieces.forEach((piece, i) => {
    key.set(sha256(piece), i * 32)
  })
  return sha256(key)
}
