import { strict as assert } from 'node:assert'
import { openGrant, peerIdOf, publicKeyOf, sealGrant } from '@cairn/node'
import { CairnError, ed25519, encodeGrant, hex, parseGrant, x25519KeyOf } from '@cairn/protocol'
import fc from 'fast-check'
import {
  AEAD_AES_128_GCM,
  AEAD_AES_256_GCM,
  CipherSuite,
  KDF_HKDF_SHA256,
  KEM_DHKEM_X25519_HKDF_SHA256,
} from 'hpke'

const secretOf = (byte: number) => new Uint8Array(32).fill(byte)
const link = {
  manifest: { root: secretOf(5), payload: 1_000 },
  entry: 3,
  key: secretOf(9),
}
/** Sealed for the identity of 32 times 7. */
const GRANT =
  'cairn-grant:AfczjEzHJtVSlUdRZ-pZCOf6F9Y2txg3bN-s00j8Zu8GnRiEavRxcP481VazHWGT96Bk6H0zBOPmRoeJj8gnGqaG7EDcSWQjANvTvdO2UUqyUUf8yzPP10BFn5RZSzhTvCtAZwMS7XXNJl4xv-ZLh8a-dr8jeBPgd9k'

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))

describe('a sealed grant', () => {
  it('opens for its recipient alone, who is named by a peer id', async () => {
    const peer = peerIdOf(ed25519.publicKey(secretOf(7)))
    const grant = await sealGrant(link, publicKeyOf(peer))
    assert.deepEqual(await openGrant(grant, secretOf(7)), link)
    await assert.rejects(openGrant(grant, secretOf(8)), { code: 'otherRecipient' })
  })

  it('has a text that stays readable', async () => {
    assert.deepEqual(await openGrant(GRANT, secretOf(7)), link)
  })

  it('is another each time, and shows neither file nor recipient', async () => {
    const identity = ed25519.publicKey(secretOf(7))
    const grants = await Promise.all([1, 2].map(() => sealGrant(link, identity)))
    assert.notEqual(grants[0], grants[1])
    for (const grant of grants) {
      const { encapsulated, sealed } = parseGrant(grant)
      const shown = hex(encapsulated) + hex(sealed)
      for (const hidden of [link.key, link.manifest.root, identity, x25519KeyOf(identity)]) {
        assert.ok(!shown.includes(hex(hidden).slice(0, 16)))
      }
    }
  })

  it('refuses whatever was changed', async () => {
    const { encapsulated, sealed } = parseGrant(GRANT)
    const all = Uint8Array.from([...encapsulated, ...sealed])
    await fc.assert(
      fc.asyncProperty(fc.nat(all.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const changed = all.slice()
        changed[at] = (changed[at] as number) ^ by
        const grant = { encapsulated: changed.slice(0, 32), sealed: changed.slice(32) }
        // The highest bit of an X25519 key says nothing, but is part of what is hashed.
        await assert.rejects(openGrant(encodeGrant(grant), secretOf(7)), { code: 'otherRecipient' })
      }),
    )
  })

  it('is not made for a key of small order', async () => {
    for (const key of [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31))]) {
      await assert.rejects(sealGrant(link, key), { code: 'badKey' })
    }
    const low = encodeGrant({ encapsulated: new Uint8Array(32), sealed: new Uint8Array(89) })
    await assert.rejects(openGrant(low, secretOf(7)), { code: 'otherRecipient' })
  })

  it('refuses hostile text with a code', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async text => {
        await assert.rejects(
          openGrant(`cairn-grant:${text}`, secretOf(7)),
          error => error instanceof CairnError,
        )
      }),
    )
  })
})

describe('HPKE', () => {
  it('opens the vector of RFC 9180, A.1.1, by the same key agreement', async () => {
    const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_128_GCM)
    const recipient = await suite.DeserializePrivateKey(
      bytes('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
      false,
    )
    const plain = await suite.Open(
      recipient,
      bytes('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
      bytes(
        'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a',
      ),
      {
        info: new TextEncoder().encode('Ode on a Grecian Urn'),
        aad: new TextEncoder().encode('Count-0'),
      },
    )
    assert.equal(new TextDecoder().decode(plain), 'Beauty is truth, truth beauty')
  })

  it('is the suite that grants name', () => {
    const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM)
    assert.deepEqual([suite.KEM.id, suite.KDF.id, suite.AEAD.id], [0x0020, 0x0001, 0x0002])
  })
})
