/** What every implementation of `#crypto` must do; run over each by its own test file. */
import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { ed25519 as noble } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import type { Crypto } from '../../src/crypto/crypto.ts'

interface SignatureCase {
  message: string
  publicKey: string
  signature: string
  valid: boolean
}

const vectors: { cases: SignatureCase[]; extra: SignatureCase[] } = JSON.parse(
  readFileSync(new URL('../vectors/ed25519.json', import.meta.url), 'utf8'),
)
const SPECCHECK_SMALL_ORDER_KEYS = [0, 1, 10, 11]
const SPECCHECK_MIXED_ORDER_KEYS = [2, 3, 4, 5, 8, 9]

/** RFC 8032, 7.1, tests 1 to 3. */
const RFC8032 = [
  {
    secret: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    secret: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    secret: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
]

/** ethereum/bls12-381-tests, sign_case_142f678a8d05fcd1. */
const ETHEREUM_BLS = {
  secret: '263dbd792f5b1be47ed85f8938c0f29586af0d3ac7b977f21c278fe1462040e3',
  publicKey:
    'a491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a',
  message: '0000000000000000000000000000000000000000000000000000000000000000',
  signature:
    'b6ed936746e01f8ecf281f020953fbf1f01debd5657c4a383940b020b26507f6076334f91e2366c96e9ab279fb5158090352ea1c5b0c9274504f4f0e7053af24802e51e4568d164fe986834f41e55c8e850ce1f98458c0cfc9ab380b55285a55',
}

const L = noble.Point.Fn.ORDER
const G1 = bls12_381.G1.Point
const G2 = bls12_381.G2.Point
const SECRET = new Uint8Array(32).fill(7)
const OTHER = new Uint8Array(32).fill(9)
const MESSAGE = utf8ToBytes('a challenge')
const infinity = (length: number) => hexToBytes(`c0${'00'.repeat(length - 1)}`)

export function conformance(name: string, crypto: Crypto): void {
  const { bls, ed25519, keccak256, sha256, sha256Pairs } = crypto

  describe(`crypto: ${name}`, () => {
    describe('hashes', () => {
      it('gives the SHA-256 of FIPS 180-4', () => {
        assert.equal(
          bytesToHex(sha256(utf8ToBytes('abc'))),
          'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
        )
        assert.equal(
          bytesToHex(sha256(new Uint8Array(0))),
          'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
        )
      })

      it('gives the Keccak-256 of the EVM', () => {
        assert.equal(
          bytesToHex(keccak256(new Uint8Array(0))),
          'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
        )
      })

      it('returns plain byte arrays', () => {
        for (const bytes of [sha256(MESSAGE), keccak256(MESSAGE), ed25519.sign(MESSAGE, SECRET)]) {
          assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
        }
      })

      it('hashes a level pair by pair, from any offset of a buffer', () => {
        fc.assert(
          fc.property(fc.integer({ min: 0, max: 33 }), fc.nat({ max: 9 }), (nodes, offset) => {
            const level = new Uint8Array(offset + nodes * 64)
              .map((_, i) => (i * 31) ^ (i >> 8))
              .subarray(offset)
            const parents = Array.from({ length: nodes }, (_, i) =>
              sha256(level.subarray(i * 64, i * 64 + 64)),
            )
            assert.deepEqual(sha256Pairs(level), concatBytes(...parents))
          }),
        )
      })

      it('refuses a level with half a node', () => {
        assert.throws(() => sha256Pairs(new Uint8Array(96)), /64-byte nodes/)
      })
    })

    describe('Ed25519', () => {
      for (const [i, v] of RFC8032.entries()) {
        it(`signs and verifies RFC 8032 test ${i + 1}`, () => {
          const [secret, key] = [hexToBytes(v.secret), hexToBytes(v.publicKey)]
          const [message, signature] = [hexToBytes(v.message), hexToBytes(v.signature)]
          assert.deepEqual(ed25519.publicKey(secret), key)
          assert.deepEqual(ed25519.sign(message, secret), signature)
          assert.ok(ed25519.verify(message, key, signature))
          assert.ok(ed25519.isValidKey(key))
        })
      }

      for (const [i, v] of [...vectors.cases, ...vectors.extra].entries()) {
        it(`${v.valid ? 'accepts' : 'refuses'} speccheck case ${i}`, () => {
          const key = hexToBytes(v.publicKey)
          const held = ed25519.verify(hexToBytes(v.message), key, hexToBytes(v.signature))
          assert.equal(held && ed25519.isValidKey(key), v.valid)
        })
      }

      it('refuses keys of small order at registration', () => {
        for (const i of SPECCHECK_SMALL_ORDER_KEYS) assert.ok(!ed25519.isValidKey(speccheckKey(i)))
      })

      it('refuses keys of mixed order at registration', () => {
        for (const i of SPECCHECK_MIXED_ORDER_KEYS) assert.ok(!ed25519.isValidKey(speccheckKey(i)))
      })

      it('accepts the prime-order keys of the speccheck cases', () => {
        for (const i of [6, 7]) assert.ok(ed25519.isValidKey(speccheckKey(i)))
      })

      it('refuses every encoding of a point of small order, as key and as R', () => {
        for (const encoding of smallOrderEncodings()) {
          assert.ok(!ed25519.isValidKey(encoding))
          // A = k * 0 = 0 and S = 0 make the equation hold wherever R is the identity.
          const zeroS = concatBytes(encoding, new Uint8Array(32))
          assert.ok(!ed25519.verify(MESSAGE, encoding, zeroS))
          assert.ok(!ed25519.verify(MESSAGE, ed25519.publicKey(SECRET), zeroS))
        }
      })

      it('refuses keys that are not canonical, not on the curve or of another length', () => {
        const notCanonical = littleEndian32(2n ** 255n - 19n + 3n)
        const refused = [
          notCanonical,
          new Uint8Array(32).fill(0xff),
          hexToBytes(`02${'00'.repeat(31)}`),
        ]
        for (const key of [...refused, new Uint8Array(0), new Uint8Array(33)]) {
          assert.ok(!ed25519.isValidKey(key))
          assert.ok(!ed25519.verify(MESSAGE, key, ed25519.sign(MESSAGE, SECRET)))
        }
      })

      it('refuses S + L in the place of S', () => {
        const key = ed25519.publicKey(SECRET)
        const signature = ed25519.sign(MESSAGE, SECRET)
        assert.ok(ed25519.verify(MESSAGE, key, signature))
        const S = numberLE(signature.subarray(32))
        const other = concatBytes(signature.subarray(0, 32), littleEndian32(S + L))
        assert.ok(!ed25519.verify(MESSAGE, key, other))
      })

      it('refuses R with a component of small order, which only a cofactor forgives', () => {
        const { scalar, pointBytes } = noble.utils.getExtendedPublicKey(SECRET)
        const torsion = noble.Point.fromBytes(smallOrderEncodings()[10] as Uint8Array, true)
        const r = 12345n
        const R = noble.Point.BASE.multiply(r).add(torsion).toBytes()
        const k = numberLE(sha512(concatBytes(R, pointBytes, MESSAGE))) % L
        const signature = concatBytes(R, littleEndian32((r + k * scalar) % L))
        assert.ok(noble.verify(signature, MESSAGE, pointBytes), 'holds with the cofactor')
        assert.ok(!ed25519.verify(MESSAGE, pointBytes, signature))
      })

      it('refuses a signature with any bit changed, and never throws', () => {
        const key = ed25519.publicKey(SECRET)
        const signature = ed25519.sign(MESSAGE, SECRET)
        fc.assert(
          fc.property(fc.nat({ max: 511 }), bit => {
            assert.ok(!ed25519.verify(MESSAGE, key, flipped(signature, bit)))
          }),
          { numRuns: 30 },
        )
        for (const length of [0, 63, 65]) {
          assert.ok(!ed25519.verify(MESSAGE, key, new Uint8Array(length)))
        }
      })

      it('leaves its input as it is, also where that is a Buffer', () => {
        const secret = hexToBytes('01'.repeat(32))
        const publicKey = crypto.ed25519.publicKey(secret)
        for (let i = 0; i < 8; i++) {
          const message = Uint8Array.of(i)
          const signature = Buffer.from(crypto.ed25519.sign(message, secret))
          const before = Buffer.from(signature)
          assert.ok(crypto.ed25519.verify(message, Buffer.from(publicKey), signature))
          assert.deepEqual(signature, before)
        }
      })

      it('refuses a secret of another length', () => {
        assert.throws(() => ed25519.sign(MESSAGE, new Uint8Array(31)))
        assert.throws(() => ed25519.publicKey(new Uint8Array(33)))
      })
    })

    describe('BLS12-381', () => {
      it('signs as Ethereum does', () => {
        const secret = hexToBytes(ETHEREUM_BLS.secret)
        const message = hexToBytes(ETHEREUM_BLS.message)
        assert.equal(bytesToHex(bls.publicKey(secret)), ETHEREUM_BLS.publicKey)
        assert.equal(bytesToHex(bls.sign(message, secret)), ETHEREUM_BLS.signature)
        assert.ok(
          bls.verify(message, hexToBytes(ETHEREUM_BLS.publicKey), bls.sign(message, secret)),
        )
      })

      it('refuses another message, key or signature', () => {
        const [key, signature] = [bls.publicKey(SECRET), bls.sign(MESSAGE, SECRET)]
        assert.ok(bls.verify(MESSAGE, key, signature))
        assert.ok(!bls.verify(utf8ToBytes('another'), key, signature))
        assert.ok(!bls.verify(MESSAGE, bls.publicKey(OTHER), signature))
        assert.ok(!bls.verify(MESSAGE, key, bls.sign(MESSAGE, OTHER)))
      })

      for (const [what, key] of malformedKeys()) {
        it(`refuses a key that is ${what}`, () => {
          assert.ok(!bls.isValidKey(key))
          assert.ok(!bls.verify(MESSAGE, key, bls.sign(MESSAGE, SECRET)))
          assert.throws(() => bls.aggregateKeys([bls.publicKey(SECRET), key]), blsPoint)
          assert.throws(() => bls.keyToEvm(key), blsPoint)
        })
      }

      for (const [what, signature] of malformedSignatures()) {
        it(`refuses a signature that is ${what}`, () => {
          assert.ok(!bls.verify(MESSAGE, bls.publicKey(SECRET), signature))
          assert.throws(() => bls.aggregateSignatures([signature]), blsPoint)
          assert.throws(() => bls.signatureToEvm(signature), blsPoint)
        })
      }

      it('refuses infinity as key and signature together, for which the equation holds', () => {
        assert.ok(!bls.verify(MESSAGE, infinity(48), infinity(96)))
      })

      it('adds keys and signatures so that the sums verify', () => {
        const secrets = [SECRET, OTHER, new Uint8Array(32).fill(11)]
        const key = bls.aggregateKeys(secrets.map(bls.publicKey))
        const signature = bls.aggregateSignatures(secrets.map(s => bls.sign(MESSAGE, s)))
        assert.ok(bls.verify(MESSAGE, key, signature))
        const short = bls.aggregateSignatures(secrets.slice(1).map(s => bls.sign(MESSAGE, s)))
        assert.ok(!bls.verify(MESSAGE, key, short))
      })

      it('adds a key twice where it is given twice', () => {
        const key = bls.publicKey(SECRET)
        const twice = bls.aggregateSignatures([
          bls.sign(MESSAGE, SECRET),
          bls.sign(MESSAGE, SECRET),
        ])
        assert.ok(bls.verify(MESSAGE, bls.aggregateKeys([key, key]), twice))
      })

      it('adds opposite keys to infinity, which then verifies nothing', () => {
        const key = bls.publicKey(SECRET)
        const opposite = G1.fromBytes(key).negate().toBytes()
        const sum = bls.aggregateKeys([key, opposite])
        assert.deepEqual(sum, infinity(48))
        assert.ok(!bls.isValidKey(sum))
      })

      it('refuses to add nothing', () => {
        assert.throws(() => bls.aggregateKeys([]), blsPoint)
        assert.throws(() => bls.aggregateSignatures([]), blsPoint)
      })

      it('refuses a secret that is zero or not below the group order', () => {
        for (const secret of [new Uint8Array(32), new Uint8Array(32).fill(0xff)]) {
          assert.throws(() => bls.sign(MESSAGE, secret))
          assert.throws(() => bls.publicKey(secret))
        }
      })

      it('lays a key out as EIP-2537 does', () => {
        const one = new Uint8Array(32)
        one[31] = 1
        const pad = '00'.repeat(16)
        assert.equal(
          bytesToHex(bls.keyToEvm(bls.publicKey(one))),
          `${pad}17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb${pad}08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1`,
        )
      })

      it('lays a signature out as EIP-2537 does, c0 first', () => {
        const pad = '00'.repeat(16)
        assert.equal(
          bytesToHex(bls.signatureToEvm(G2.BASE.toBytes())),
          [
            '024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8',
            '13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e',
            '0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801',
            '0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be',
          ]
            .map(element => pad + element)
            .join(''),
        )
      })
    })
  })
}

/** The fourteen encodings of the eight points of small order, computed from the curve. */
export function smallOrderEncodings(): Uint8Array[] {
  const p = noble.Point.Fp.ORDER
  const order8 = speccheckKey(0)
  const y = numberLE(order8) & (2n ** 255n - 1n)
  const ys = [0n, 1n, p - 1n, p, p + 1n, y, p - y]
  return ys.flatMap(value => [littleEndian32(value), littleEndian32(value + 2n ** 255n)])
}

export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const other = bytes.slice()
  other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7))
  return other
}

export function speccheckKey(i: number): Uint8Array {
  const found = vectors.cases[i]
  assert.ok(found)
  return hexToBytes(found.publicKey)
}

const blsPoint = { name: 'CairnError', code: 'blsPoint' }

function malformedKeys(): [string, Uint8Array][] {
  const key = G1.BASE.toBytes()
  return [
    ['infinity', infinity(48)],
    ['infinity with other bits set', flipped(infinity(48), 8)],
    ['outside the group', pointOutsideG1()],
    ['on no curve', onNoCurve(48)],
    ['not reduced', hexToBytes(`9a${'ff'.repeat(47)}`)],
    ['without its compression bit', flipped(key, 7)],
    ['in uncompressed form', G1.BASE.toBytes(false)],
    ['too short', key.subarray(1)],
    ['empty', new Uint8Array(0)],
  ]
}

function malformedSignatures(): [string, Uint8Array][] {
  const signature = G2.BASE.toBytes()
  return [
    ['infinity', infinity(96)],
    ['infinity with other bits set', flipped(infinity(96), 8)],
    ['outside the group', pointOutsideG2()],
    ['not reduced', hexToBytes(`9a${'ff'.repeat(95)}`)],
    ['without its compression bit', flipped(signature, 7)],
    ['in uncompressed form', G2.BASE.toBytes(false)],
    ['too short', signature.subarray(1)],
    ['empty', new Uint8Array(0)],
  ]
}

/** The first x with a point on the curve whose order is not the group's. */
function pointOutsideG1(): Uint8Array {
  const { Fp } = bls12_381.fields
  for (let x = 1n; ; x++) {
    const square = x ** 3n + 4n
    if (Fp.pow(square, (Fp.ORDER - 1n) / 2n) !== Fp.ONE) continue
    if (!G1.fromAffine({ x, y: Fp.sqrt(square) }).isTorsionFree()) return compressed(x, 48)
  }
}

function onNoCurve(length: number): Uint8Array {
  const { Fp } = bls12_381.fields
  for (let x = 1n; ; x++) {
    if (Fp.pow(x ** 3n + 4n, (Fp.ORDER - 1n) / 2n) !== Fp.ONE) return compressed(x, length)
  }
}

function pointOutsideG2(): Uint8Array {
  const { Fp, Fp2 } = bls12_381.fields
  for (let c0 = 1n; ; c0++) {
    const x = { c0, c1: 0n }
    const square = Fp2.add(Fp2.mul(Fp2.sqr(x), x), { c0: 4n, c1: 4n })
    // A square in Fp2 has a square as its norm.
    const norm = Fp.add(Fp.sqr(square.c0), Fp.sqr(square.c1))
    if (Fp.pow(norm, (Fp.ORDER - 1n) / 2n) !== Fp.ONE) continue
    if (!G2.fromAffine({ x, y: Fp2.sqrt(square) }).isTorsionFree()) return compressed(c0, 96)
  }
}

/** Big-endian x with the compression bit. */
function compressed(x: bigint, length: number): Uint8Array {
  const bytes = hexToBytes(x.toString(16).padStart(length * 2, '0'))
  bytes[0] = (bytes[0] as number) | 0x80
  return bytes
}

function littleEndian32(value: bigint): Uint8Array {
  return hexToBytes(value.toString(16).padStart(64, '0')).reverse()
}

function numberLE(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes.slice().reverse())}`)
}
