import { strict as assert } from 'node:assert'
import {
  ABSENT_FTIME,
  ABSENT_LEVEL,
  ABSENT_TMMS,
  Beacon,
  CairnError,
  type Codec,
  Commit,
  CoverageEvidence,
  CoverageState,
  commitLeaf,
  commitRoot,
  commitSalt,
  decode,
  decodeLevel,
  encodeLevel,
  FRAMES_MAX,
  framePayload,
  type HeardFrame,
  hex,
  isBeaconFrame,
  opensLeaf,
  Report,
} from '@cairn/protocol'
import fc from 'fast-check'
import { bytes32 } from './network.ts'

// Computed with hashlib from the SSZ layouts.
const GOLDEN = {
  leaf: 'c5c848940a3889ef88ec67f72b7d0fa180ba7ede4e9cc81d1e8ca68b529bd127',
  root: '023e5b816042eb7c607555ad77e7d69df67f31bbf3885b4c24d32eb1612a851d',
  salt: '695d0b8e80b25b2eedcc26462490047dfd95cd5330ec550d7c9299d659756760',
  payload: 'e00cdc62c3801e1aa111bddd42eb1ce4e541a9e4e58b44a27f',
  beacon: '3d48a5970e0b42f205d8f8da4a613fc896fcc1e298690b411cb55c24a2b2839d',
  commit: '4499bc52d6434836fc9d661fbbde16e6f48d0c4d8fff675875a451f7f756682c',
  report: '82965570f5238f4562d771d3d649169353890ef6fca66406f05aa4f8bbc6c174',
}
const head = { epoch: 4, base: new Uint8Array(8).fill(6), kind: 2, author: 3 }
const reception: HeardFrame = {
  payload: framePayload(new Uint8Array(96).fill(1), bytes32(2)),
  frequency: 868_100_000,
  spreadingFactor: 9,
  bandwidth: 125,
  rssi: encodeLevel(-1180),
  rssis: ABSENT_LEVEL,
  snr: encodeLevel(-55),
  tmst: 3_512_348_611,
  ftime: ABSENT_FTIME,
  tmms: ABSENT_TMMS,
}
const salt = bytes32(8)
const leaf = commitLeaf({ witness: 3, reception, salt })
const other = bytes32(1, 1)
const commit: Commit = { ...head, slot: 5, root: commitRoot([other, leaf]) }
const beacon: Beacon = {
  ...head,
  challenge: bytes32(1),
  nonce: bytes32(2),
  slot: 5,
  frequency: 868_100_000,
  spreadingFactor: 9,
  power: encodeLevel(140),
  tmms: 1_400_000_000_123n,
}
const report: Report = {
  ...head,
  challenge: bytes32(1),
  slot: 5,
  leaves: [other, leaf],
  place: 1,
  reception,
  salt,
}

describe('coverage messages', () => {
  it('have the encodings of the golden vectors', () => {
    assert.equal(hex(leaf), GOLDEN.leaf)
    assert.equal(hex(commit.root), GOLDEN.root)
    assert.equal(hex(commitSalt({ secret: bytes32(1), epoch: 2, slot: 3, place: 4 })), GOLDEN.salt)
    assert.equal(hex(reception.payload), GOLDEN.payload)
    assert.equal(hex(Beacon.hashTreeRoot(beacon)), GOLDEN.beacon)
    assert.equal(hex(Commit.hashTreeRoot(commit)), GOLDEN.commit)
    assert.equal(hex(Report.hashTreeRoot(report)), GOLDEN.report)
  })

  it('survive the way through bytes', () => {
    assert.deepEqual(decode(Commit, Commit.serialize(commit)), commit)
    assert.deepEqual(decode(Beacon, Beacon.serialize(beacon)), beacon)
    assert.deepEqual(decode(Report, Report.serialize(report)), report)
  })

  const codecs: Record<string, Codec<unknown>> = {
    Commit,
    Beacon,
    Report,
    CoverageEvidence,
    CoverageState,
  }
  for (const [name, codec] of Object.entries(codecs)) {
    it(`never throws anything but a coded error at hostile bytes (${name})`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 600 }), bytes => {
          try {
            decode(codec, bytes)
          } catch (error) {
            assert.ok(error instanceof CairnError)
          }
        }),
      )
    })
  }

  it('refuse every truncation and every appended byte', () => {
    const bytes = Report.serialize(report)
    for (let length = 0; length < bytes.length; length++) {
      const cut = () => opensLeaf(decode(Report, bytes.slice(0, length)))
      try {
        assert.equal(cut(), false)
      } catch (error) {
        assert.ok(error instanceof CairnError)
      }
    }
    assert.throws(() => decode(Commit, Uint8Array.of(...Commit.serialize(commit), 0)), CairnError)
    assert.throws(() => decode(Beacon, Uint8Array.of(...Beacon.serialize(beacon), 0)), CairnError)
  })

  it('refuse more leaves than a commit covers and a longer payload than a frame has', () => {
    const many = Array.from({ length: FRAMES_MAX + 1 }, (_, at) => bytes32(at))
    assert.throws(() => decode(Report, Report.serialize({ ...report, leaves: many })), CairnError)
    const long = { ...reception, payload: new Uint8Array(65) }
    assert.throws(
      () => decode(Report, Report.serialize({ ...report, reception: long })),
      CairnError,
    )
  })
})

describe('levels', () => {
  it('keep every value of 0.1 dB and tell absent ones apart', () => {
    fc.assert(
      fc.property(fc.integer({ min: -32_768, max: 32_766 }), level => {
        return decodeLevel(encodeLevel(level)) === level
      }),
    )
    assert.equal(decodeLevel(ABSENT_LEVEL), undefined)
  })

  it('refuse fractions and what does not fit', () => {
    for (const level of [0.5, -32_769, 32_767, Number.NaN]) {
      assert.throws(() => encodeLevel(level), { code: 'badLevel' })
    }
  })
})

describe('commit leaf', () => {
  it('opens with the reception and salt it was made of', () => {
    assert.ok(opensLeaf(report))
  })

  it('does not open with another reception, salt, witness or place', () => {
    const louder = { ...reception, rssi: reception.rssi + 1 }
    assert.ok(!opensLeaf({ ...report, reception: louder }))
    assert.ok(!opensLeaf({ ...report, salt: bytes32(9) }))
    assert.ok(!opensLeaf({ ...report, author: 4 }))
    assert.ok(!opensLeaf({ ...report, place: 0 }))
    assert.ok(!opensLeaf({ ...report, place: 2 }))
  })
})

describe('beacon frame', () => {
  it('is 25 bytes with the type byte of no LoRaWAN frame', () => {
    assert.ok(isBeaconFrame(reception.payload))
    assert.ok(!isBeaconFrame(reception.payload.slice(0, 24)))
    assert.ok(!isBeaconFrame(new Uint8Array(25).fill(0x40)))
  })
})
