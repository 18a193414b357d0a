import { strict as assert } from 'node:assert'
import {
  bls,
  DomainType,
  domain,
  ed25519,
  hex,
  MessageType,
  networkId,
  signingRoot,
  voteSigningRoot,
} from '@cairn/protocol'
import fc from 'fast-check'
import { bytes32, CHECKPOINTS, identitySecret, NETWORK, votingSecret } from './kernel-world.ts'

const DOMAINS = Object.entries(DomainType)
const HOME = { chainId: 31337n, checkpoints: CHECKPOINTS, genesis: 1_700_000_000n }

describe('network id', () => {
  it('hashes chain, contract and genesis as published', () => {
    assert.equal(
      hex(networkId(HOME)),
      '4876338a1010a2aef51f7ddbce64606b7b54a9aed2548353a635102c21aa5734',
    )
  })

  it('differs by chain, contract and genesis', () => {
    const ids = [
      HOME,
      { ...HOME, chainId: 1n },
      { ...HOME, checkpoints: new Uint8Array(20) },
      { ...HOME, genesis: 1_700_000_001n },
    ].map(init => hex(networkId(init)))
    assert.equal(new Set(ids).size, 4)
  })
})

describe('domain', () => {
  it('hashes protocol, type and network as published', () => {
    assert.deepEqual(
      [DomainType.challenge, DomainType.vote, DomainType.seed, DomainType.vrf].map(type =>
        hex(domain(type, NETWORK)),
      ),
      [
        '2a7fa32cac5bd8eb731e0babeb5f910560cac19db5a9c23c93fccbed47515b20',
        '120d692b6dc667820dc3488135a0464ac4067a3e0a9d5ec0283e35f5d20581e1',
        'aa01c18c6c5c8a9d09061c2971b8aadbac34d629f4c7f75e5a2dc9f36e38147f',
        '755810eb387af17f33fb46790047fc70d2f0eb34abc1f6e8619b5debceee8c96',
      ],
    )
  })

  it('has a code of its own for every purpose', () => {
    const codes = DOMAINS.map(([, code]) => code)
    assert.equal(new Set(codes).size, codes.length)
  })

  it('differs for every purpose and network', () => {
    const found = new Set<string>()
    for (const network of [NETWORK, bytes32('other network')]) {
      for (const [, type] of DOMAINS) found.add(hex(domain(type, network)))
    }
    assert.equal(found.size, 2 * DOMAINS.length)
  })

  it('is the same for equal network ids in different arrays', () => {
    assert.deepEqual(domain(DomainType.vrf, NETWORK.slice()), domain(DomainType.vrf, NETWORK))
  })
})

describe('signing root', () => {
  it('hashes domain and root as published', () => {
    assert.equal(
      hex(signingRoot(DomainType.challenge, NETWORK, new Uint8Array(32).fill(7))),
      '218fe8f3eca64708cbb9373c4983797974d38bce257c58ab9dbce9fee665d9d7',
    )
  })

  it('makes a signature for one network and purpose invalid for every other', () => {
    const secret = identitySecret(1)
    const key = ed25519.publicKey(secret)
    const root = bytes32('object')
    const networks = [NETWORK, bytes32('other network')]
    fc.assert(
      fc.property(
        fc.constantFrom(...DOMAINS.map(([, code]) => code)),
        fc.constantFrom(...DOMAINS.map(([, code]) => code)),
        fc.constantFrom(...networks),
        fc.constantFrom(...networks),
        (signedType, readType, signedFor, readFor) => {
          const signature = ed25519.sign(signingRoot(signedType, signedFor, root), secret)
          const valid = ed25519.verify(signingRoot(readType, readFor, root), key, signature)
          assert.equal(valid, signedType === readType && signedFor === readFor)
        },
      ),
    )
  })

  it('makes a vote for one network invalid for another', () => {
    const vote = { epoch: 3n, round: 0n, checkpoint: bytes32('checkpoint') }
    const key = bls.publicKey(votingSecret(1))
    const signature = bls.sign(voteSigningRoot(vote, NETWORK), votingSecret(1))
    assert.ok(bls.verify(voteSigningRoot(vote, NETWORK), key, signature))
    assert.ok(!bls.verify(voteSigningRoot(vote, bytes32('other network')), key, signature))
    assert.ok(!bls.verify(voteSigningRoot({ ...vote, round: 1n }, NETWORK), key, signature))
  })
})

describe('message types', () => {
  it('keep their codes', () => {
    assert.deepEqual(
      { ...MessageType },
      {
        challenge: 1,
        attestation: 2,
        seal: 3,
        commit: 4,
        beacon: 5,
        report: 6,
        ready: 7,
        deal: 8,
        dealEnd: 11,
        receipt: 12,
        strangerFetch: 13,
        delegation: 14,
        audit: 15,
        measurement: 16,
        vote: 9,
        proposal: 10,
      },
    )
  })
})
