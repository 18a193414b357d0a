import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { mnemonicToSeedSync } from '@scure/bip39'
import fc from 'fast-check'
import {
  accountAddress,
  accountKey,
  blsSecret,
  deriveKeys,
  ENTROPY_BYTES,
  ed25519Secret,
  mnemonicOf,
  nodeName,
  parseMnemonic,
} from '../src/keys.ts'

interface Eip2333Case {
  seed: string
  masterSk: string
  childIndex: number
  childSk: string
}

const vectors = readFileSync(new URL('./vectors/keys.json', import.meta.url), 'utf8')
const { bip39, eip2333 } = JSON.parse(vectors)
const eip2333Cases: Eip2333Case[] = eip2333.cases

/** SLIP-10, test vector 1 for ed25519: secret after each further hardened index. */
const SLIP10_SEED = hexToBytes('000102030405060708090a0b0c0d0e0f')
const SLIP10: [number[], string][] = [
  [[], '2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7'],
  [[0], '68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3'],
  [[0, 1], 'b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2'],
  [[0, 1, 2], '92a5b23c0b8a99e37d07df3fb9966917f5d06e02ddbd909c7e184371463e9fc9'],
  [[0, 1, 2, 2], '30d1dc7e5fc04c31219ab25a27ae00b50f6fd66622f6e9c913253d6511d1e662'],
  [[0, 1, 2, 2, 1000000000], '8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793'],
]

/** BIP-39's own vectors for 32 bytes of zeros and of ones. */
const ZEROS = `${'abandon '.repeat(23)}art`
const ONES = `${'zoo '.repeat(23)}vote`

describe('mnemonic', () => {
  it('writes entropy as the 24 words of BIP-39', () => {
    assert.equal(mnemonicOf(new Uint8Array(32)), ZEROS)
    assert.equal(mnemonicOf(new Uint8Array(32).fill(0xff)), ONES)
  })

  it('refuses entropy of another length', () => {
    for (const length of [0, 16, 31, 33]) {
      assert.throws(() => mnemonicOf(new Uint8Array(length)), /32 bytes of entropy/)
    }
  })

  it('reads back what it wrote, whatever the case and the spaces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: ENTROPY_BYTES }), entropy => {
        const words = mnemonicOf(entropy)
        assert.equal(parseMnemonic(`  ${words.toUpperCase().replaceAll(' ', ' \n')} `), words)
      }),
      { numRuns: 20 },
    )
  })

  it('refuses another number of words', () => {
    for (const text of ['', bip39.mnemonic, `${ZEROS} art`]) {
      assert.throws(() => parseMnemonic(text), { code: 'mnemonicLength' })
    }
  })

  it('tells the place of an unknown word and not the word', () => {
    const words = ZEROS.split(' ')
    words[4] = 'abandom'
    assert.throws(
      () => parseMnemonic(words.join(' ')),
      (error: Error & { code: string; facts: object }) => {
        assert.equal(error.code, 'mnemonicWord')
        assert.deepEqual(error.facts, { position: 5 })
        assert.ok(!error.message.includes('abandom'))
        return true
      },
    )
  })

  it('refuses known words whose checksum is wrong', () => {
    assert.throws(() => parseMnemonic('abandon '.repeat(24)), { code: 'mnemonicChecksum' })
  })
})

describe('derivation', () => {
  for (const [path, secret] of SLIP10) {
    it(`follows SLIP-10 along ${['m', ...path.map(i => `${i}'`)].join('/')}`, () => {
      assert.equal(bytesToHex(ed25519Secret(SLIP10_SEED, path)), secret)
    })
  }

  for (const { seed, masterSk, childIndex, childSk } of eip2333Cases) {
    it(`follows EIP-2333 to child ${childIndex}`, () => {
      const decimal = (secret: Uint8Array) => BigInt(`0x${bytesToHex(secret)}`).toString()
      assert.equal(decimal(blsSecret(hexToBytes(seed), [])), masterSk)
      assert.equal(decimal(blsSecret(hexToBytes(seed), [childIndex])), childSk)
    })
  }

  it('gives the first Ethereum account that every wallet gives', () => {
    const { secret, address } = accountKey(mnemonicToSeedSync(`${'test '.repeat(11)}junk`))
    assert.equal(bytesToHex(address), 'f39fd6e51aad88f6f4ce6ab8827279cfffb92266')
    assert.equal(
      bytesToHex(secret),
      'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
    )
    assert.deepEqual(accountAddress(secret), address)
  })

  it('derives the same three keys from the same words for ever', () => {
    const { identity, voting, account } = deriveKeys(ZEROS)
    assert.deepEqual(
      [identity.secret, identity.publicKey, voting.secret, voting.publicKey].map(bytesToHex),
      [
        '8131a16df98f24b6d473706aa37403208c522d3dfe145703f576907e948f0f1b',
        '49135ecab560e12c0b39246cb8944eb2903003ce6cb8f0c4b35b25e1be95cbee',
        '1e78e00821e6ff480b5029716f27cb98d5a93207dc609975f2fd6caced5f2ca1',
        '937f5b88452e4327c804a86c3ff3bc02dd6fee9a46d4f860fbfa28c0fa1b39b3c149ac2e99384ce52c44dcafea00b35f',
      ],
    )
    assert.equal(bytesToHex(account.address), 'f278cf59f82edcf871d630f28ecc8056f25c1cdb')
  })

  it('derives the keys of further nodes from the same words, with the same account', () => {
    const further = [
      'abe1db517a5c9fc15aef511fc4dcb047f8bc1c0d0bbf89acb2e7b32749472a0f',
      '964874eb6ec71a7b8c387dd4aae695c3157305673c60d1990909588b8d5a4c93e3e82275295586b0b3b4b05e1ad123ef',
    ]
    const { identity, voting, account } = deriveKeys(ZEROS, 1)
    assert.deepEqual([identity.publicKey, voting.publicKey].map(bytesToHex), further)
    assert.deepEqual(account, deriveKeys(ZEROS).account)
    const seed = mnemonicToSeedSync(ZEROS)
    assert.deepEqual(identity.secret, ed25519Secret(seed, [44, 3131, 1]))
    assert.deepEqual(voting.secret, blsSecret(seed, [12381, 3131, 1, 0]))
    assert.doesNotThrow(() => deriveKeys(ZEROS, 2 ** 31 - 1))
    for (const number of [-1, 0.5, 2 ** 31]) {
      assert.throws(() => deriveKeys(ZEROS, number), /from 0 to 2\^31 - 1/)
    }
  })

  it('refuses words that are no mnemonic', () => {
    assert.throws(() => deriveKeys(bip39.mnemonic), { code: 'mnemonicLength' })
  })
})

describe('node name', () => {
  it('is three words fixed by the key', () => {
    assert.equal(nodeName(new Uint8Array(32)), 'grid-duck-problem')
    assert.equal(nodeName(new Uint8Array(32).fill(1)), 'index-hidden-patient')
  })

  it('differs for keys that differ', () => {
    const names = Array.from({ length: 200 }, (_, i) => nodeName(new Uint8Array(32).fill(i)))
    assert.equal(new Set(names).size, names.length)
    for (const name of names) assert.match(name, /^[a-z]+-[a-z]+-[a-z]+$/)
  })
})
