import { strict as assert } from 'node:assert'
import {
  CoverageReason,
  type CoverageReasonName,
  type ExplainedBeacon,
  encodeLevel,
  explainAbsence,
  explainCoverage,
  type GatewayStanding,
  gatewayStandings,
  type VerdictFacts,
  type VerdictToExplain,
} from '@cairn/protocol'
import { cellNorth, Field } from './field.ts'
import { entryOf } from './network.ts'

const HEARD = { level: -1_180, snr: -13, spreadingFactor: 9, distance: 1_349 }

interface Case {
  facts: VerdictFacts
  cause: RegExp
  /** Absent: there is nothing to do. */
  next?: RegExp
}

/** One of each code, as settlement gives it. */
const CASES: Record<CoverageReasonName, Case> = {
  ok: {
    facts: HEARD,
    cause: /^heard it at -118\.0 dBm SF9 over 1\.3 km: counts$/,
  },
  challengeLate: { facts: {}, cause: /challenge came too late/ },
  otherChallenge: { facts: {}, cause: /another challenge of this epoch/ },
  noReveal: {
    facts: { challengeSlot: 4, transmissionSlot: 5, reveals: 0 },
    cause: /asked in slot 4 for a beacon in slot 5, and never revealed/,
    next: /"beacon not sent"/,
  },
  late: {
    facts: { revealDue: 7, revealSeenBy: 1, assigned: 3 },
    cause: /due by the end of slot 7, and reached 1 of 3 verifiers/,
    next: /clock/,
  },
  noDuty: { facts: { round: 9 }, cause: /not drawn, .* in round 9$/, next: /register again/ },
  badNonce: { facts: { nonceSince: 3 }, cause: /not of the chain/, next: /words/ },
  badReveal: {
    facts: {
      transmissionSlot: 5,
      revealedSlot: 6,
      frequency: 868_100_000,
      derivedFrequency: 868_300_000,
      spreadingFactor: 7,
      derivedSpreadingFactor: 9,
    },
    cause: /revealed slot 6, 868\.100 MHz, SF7; .* follow slot 5, 868\.300 MHz, SF9$/,
    next: /release/,
  },
  unheard: { facts: {}, cause: /no report of it counts|no gateway/, next: /antenna|neighbours/ },
  unregistered: { facts: {}, cause: /not registered and bonded/, next: /bond/ },
  noCell: { facts: {}, cause: /no cell of resolution 10/, next: /register/ },
  wrongRegion: { facts: { region: 3 }, cause: /plan of code 3/, next: /plan of the place/ },
  self: { facts: HEARD, cause: /is the gateway that sent it/, next: /release/ },
  sameOperator: { facts: HEARD, cause: /same operator/ },
  lateCommit: {
    facts: { ...HEARD, distance: 1, commitHeldBy: 1, assigned: 3 },
    cause: /^heard it at -118\.0 dBm SF9 .*, but its commit came after .*: 1 of 3 verifiers/,
    next: /clock/,
  },
  wrongFrame: {
    facts: { payloadFits: 0 },
    cause: /other bytes than were sent/,
    next: /good CRC/,
  },
  duplicate: { facts: { place: 2 }, cause: /reported this beacon already.* 2 /, next: /release/ },
  tooClose: {
    facts: { distance: 200, slack: 0, closeLimit: 300 },
    cause: /is 200 m away, and below 300 m/,
  },
  tooFar: {
    facts: { distance: 120_000, slack: 168, expectedLevel: -900, sensitivity: -1_245 },
    cause: /is 120\.0 km away, and 100\.0 km is the most/,
    next: /cells of both/,
  },
  tooLoud: {
    facts: { level: -600, distance: 5_000, loudLimit: -750 },
    cause: /at -60\.0 dBm; 5\.0 km away it can be at most -75\.0 dBm, 10\.0 dB of tolerance/,
    next: /cells is wrong/,
  },
  belowDemodulation: {
    facts: { snr: -250, leastSnr: -115 },
    cause: /SNR of -25\.0 dB; nothing below -11\.5 dB/,
    next: /lsnr/,
  },
  notSelected: { facts: HEARD, cause: /-118\.0 dBm SF9 .* 14 others were drawn/ },
  stale: { facts: {}, cause: /earns nothing this once/, next: /nothing to do/ },
  noiseMismatch: {
    facts: { noise: -900, leastNoise: -1_250, mostNoise: -1_000 },
    cause: /was -90\.0 dBm, expected is -125\.0 dBm to -100\.0 dBm/,
    next: /interference/,
  },
  elsewhere: {
    facts: {
      roundTripFrom: 3,
      roundTripMicros: 1_200,
      roundTripLimit: 180_000,
      roundTripMetres: 400_000,
      measuredTooFast: 4,
      measurements: 5,
    },
    cause: /node 3 had its answer in 1\.200 ms, .* 180\.0 km .* 400\.0 km away; .* 4 of 5 /,
    next: /where its radio is/,
  },
  relay: {
    facts: { ...HEARD, frameTook: 101_700, airtime: 61_696, flight: 4, relayLimit: 10_000 },
    cause: /came 101\.700 ms after .* 61\.696 ms long, .* 0\.004 ms, and 10\.000 ms off/,
    next: /repeater/,
  },
  sharedAntenna: {
    facts: { ...HEARD, antenna: 3, antennaShared: 2 },
    cause: /another of the 2 nodes on the antenna of node 3/,
  },
}

/** Paid in part, for all the reasons there are but those of consistency. */
const PAID = {
  units: '2147483648',
  fullUnits: '4294967296',
  densityScale: '1073741824',
  consistency: 1_000_000,
  links: 14,
  independence: 1_000_000,
  degree: 5,
  witnessing: 1_000_000,
  beaconing: 1_000_000,
  hears: 40_000,
  heardBy: 10_000,
}

function gateway(node: number, metres: number, more: Partial<GatewayStanding> = {}) {
  const cell = cellNorth(metres).toString(16)
  return { node, operator: `${node}`, cell, plan: 'EU868', gain: 20, drawn: true, ...more }
}

function beacon(reason: string, more: Partial<VerdictToExplain> = {}): VerdictToExplain {
  return { target: 0, reason, facts: {}, parts: [], ...more }
}

function explainOne(verdict: VerdictToExplain, gateways: GatewayStanding[] = []) {
  return explainCoverage({ verdicts: [verdict], gateways })[0] as ExplainedBeacon
}

describe('explanation of coverage', () => {
  for (const [reason, { facts, cause, next }] of Object.entries(CASES)) {
    it(`says what ${reason} means, with its numbers, and what to do`, () => {
      const part = { node: 1, reason, facts }
      const found = explainOne(beacon('unregistered', { parts: [part] })).witnesses[0]
      assert.ok(found)
      assert.match(found.cause, cause)
      assert.ok(!found.cause.includes('unknown'), found.cause)
      if (next === undefined) assert.equal(found.next, undefined)
      else assert.match(found.next ?? '', next)
      assert.match(explainOne(beacon(reason, { facts })).cause, /.{10}/)
    })
  }

  it('has a sentence for every code', () => {
    assert.deepEqual(Object.keys(CASES).sort(), Object.keys(CoverageReason).sort())
  })

  it('names a code of a newer release rather than nothing', () => {
    const { cause, next } = explainOne(beacon('tooQuiet'))
    assert.match(cause, /"tooQuiet", which this release does not know/)
    assert.match(next ?? '', /newer release/)
    assert.match(explainOne(beacon('toString')).cause, /"toString", which/)
  })

  it('says which commit, frame or reveal was wrong in which way', () => {
    const says = (reason: string, facts: VerdictFacts) => {
      const verdict = beacon('ok', { parts: [{ node: 1, reason, facts }] })
      return explainOne(verdict).witnesses[0]?.cause ?? ''
    }
    assert.match(says('lateCommit', { commits: 2, leavesCommitted: 1 }), /2 different commits/)
    assert.match(
      says('lateCommit', { commits: 1, leavesCommitted: 0 }),
      /not what it had committed/,
    )
    const frame = {
      payloadFits: 1,
      frequency: 868_140_000,
      sentFrequency: 868_100_000,
      frequencyTolerance: 31_250,
      spreadingFactor: 9,
      sentSpreadingFactor: 9,
      bandwidth: 125,
      sentBandwidth: 125,
    }
    assert.match(says('wrongFrame', frame), /40000 Hz off, which may be 31250 Hz/)
    assert.match(says('wrongFrame', { ...frame, sentSpreadingFactor: 7 }), /SF9 where SF7/)
    assert.match(says('wrongFrame', { ...frame, sentBandwidth: 500 }), /125 kHz .* 500 kHz/)
    assert.match(explainOne(beacon('badReveal', { facts: { reveals: 2 } })).cause, /2 different/)
    const far = { distance: 90_000, slack: 0, expectedLevel: -1_300, sensitivity: -1_245 }
    assert.match(says('tooFar', far), /leaves -130\.0 dBm .* below -124\.5 dBm/)
  })

  it('tells of a beacon that nobody proves what each neighbour did', () => {
    const gateways = [
      gateway(0, 0),
      gateway(1, 3_000, { validEpoch: 12 }),
      gateway(2, -4_000),
      gateway(3, 1_349),
      gateway(4, 5_000),
      gateway(5, 2_000, { operator: '0' }),
      gateway(6, 200),
      gateway(7, 40_000),
      gateway(8, 6_000),
    ]
    const { distance: _, ...facts } = HEARD
    const late = {
      node: 3,
      reason: 'lateCommit',
      facts: { ...facts, commitHeldBy: 1, assigned: 3 },
    }
    const verdicts = [
      beacon('unheard', { parts: [late] }),
      beacon('ok', { target: 1_000, parts: [{ node: 4, reason: 'ok', facts: HEARD }] }),
      beacon('unheard', { target: 8 }),
      beacon('noReveal', { target: 2 }),
    ]
    const [found] = explainCoverage({ verdicts, gateways })
    assert.equal(
      found?.cause,
      '5 gateways within 10 km, beside 2 others of the same operator or nearer than 300 m; ' +
        'nodes 1 (last heard in epoch 12) and 2 (never heard before) said nothing in this epoch; ' +
        'node 4 heard others, but not it; node 8 sent a beacon and heard none; ' +
        'node 3 heard it at -118.0 dBm SF9, but its commit came after the slot in which it was ' +
        'due: 1 of 3 verifiers had it in time',
    )
    assert.equal(found?.next, 'node 3: check its clock and its connection')
  })

  it('says what to do where nobody could have heard it', () => {
    const alone = explainOne(beacon('unheard'), [gateway(0, 0), gateway(1, 20_000)])
    assert.match(alone.cause, /^no gateway that could witness it is within 10 km$/)
    assert.match(alone.next ?? '', /higher antenna/)
    const quiet = explainOne(beacon('unheard'), [gateway(0, 0), gateway(1, 2_000)])
    assert.match(quiet.next ?? '', /neighbours were silent/)
    const verdicts = [
      beacon('unheard'),
      beacon('ok', { target: 9, parts: [{ node: 1, reason: 'ok', facts: HEARD }] }),
    ]
    const deaf = explainCoverage({ verdicts, gateways: [gateway(0, 0), gateway(1, 2_000)] })[0]
    assert.match(deaf?.next ?? '', /collide now and then: where several epochs .* antenna/)
    const cellless = explainOne(beacon('unheard'), [{ ...gateway(0, 0), cell: '' }].slice(1))
    assert.match(cellless.cause, /no gateway/)
  })

  it('keeps a sentence short however many there are', () => {
    const many = Array.from({ length: 200 }, (_, at) => gateway(at, 400 + at * 40))
    const parts = many.slice(100).map(({ node }) => ({ ...CASES.tooLoud, node, reason: 'tooLoud' }))
    const found = explainOne(beacon('unheard', { parts }), many)
    assert.match(found.cause, /and \d+ others? .*said nothing/)
    assert.match(found.cause, /97 further reports do not count either/)
    assert.ok(found.cause.length < 900 && (found.next?.length ?? 0) < 300, found.cause)
    assert.equal(found.witnesses.length, 100)
  })

  it('says what a beacon that counts is worth', () => {
    const facts = { ...PAID, densityScale: '4294967296', reports: 5, selected: 3 }
    const { cause, lowered, next } = explainOne(beacon('ok', { facts }))
    assert.equal(cause, '3 of 5 reports of it count, which is 0.500 units')
    assert.deepEqual([lowered, next], [[], undefined])
  })

  it('says of every lowered factor by how much, why, and what to do', () => {
    const low = { ...PAID, independence: 500_000, trust: 175, beaconing: 400_000, witnessing: 0 }
    const own = explainOne(beacon('ok', { facts: low })).lowered
    assert.deepEqual(
      own.map(({ factor, value }) => [factor, value]),
      [
        ['density', 250_000],
        ['independence', 500_000],
        ['mutuality', 400_000],
      ],
    )
    const [density, independence, mutuality] = own.map(({ cause }) => cause)
    assert.match(density ?? '', /many gateways share/)
    assert.match(independence ?? '', /0\.175 of the mean over links that weigh 5$/)
    assert.match(mutuality ?? '', /heard 10\.0 times and it heard others 40\.0 times/)
    assert.ok(own.every(({ next }) => (next ?? '').length > 10))
    const part = { node: 1, reason: 'ok', facts: { ...HEARD, ...low } }
    const witness = explainOne(beacon('ok', { parts: [part] })).witnesses[0]?.lowered
    assert.match(witness?.at(-1)?.cause ?? '', /^it heard others 40\.0 times/)
    const { trust: _, ...alone } = low
    const isolated = explainOne(beacon('ok', { facts: alone })).lowered[1]
    assert.match(isolated?.cause ?? '', /no chain of links .* anchor/)
  })

  it('says that an antenna is shared, to beacons alone', () => {
    const likeness = { antennaMedian: 12, antennaSpread: 9, antennaReceivers: 11 }
    const one = { ...PAID, densityScale: '4294967296', antenna: 3, antennaShared: 4, ...likeness }
    const part = { node: 1, reason: 'ok', facts: { ...HEARD, ...one } }
    const { lowered, witnesses } = explainOne(beacon('ok', { facts: one, parts: [part] }))
    assert.deepEqual([lowered.length, lowered[0]?.value], [1, 250_000])
    assert.match(lowered[0]?.cause ?? '', /^4 nodes .* first is node 3, .* 0\.9 dB at 11 receivers/)
    assert.deepEqual(witnesses[0]?.lowered, [])
    const first = { ...one, antennaSpread: 'none', antennaShared: 2 }
    assert.match(explainOne(beacon('ok', { facts: first })).lowered[0]?.cause ?? '', /node 3: they/)
  })

  it('names the least of the parts of consistency, which is the one that counts', () => {
    const full = { fit: 300, excess: 10, asymmetry: 3, oneSided: 50, heardShare: 400, doubt: 900 }
    const says = (change: VerdictFacts) => {
      const facts = {
        ...PAID,
        densityScale: '4294967296',
        consistency: 500_000,
        ...full,
        ...change,
      }
      const [found] = explainOne(beacon('ok', { facts })).lowered
      assert.equal(found?.factor, 'consistency')
      return `${found?.cause} -> ${found?.next}`
    }
    assert.match(says({ fit: 150 }), /14 links .*0\.150, in full from 0\.200\) -> .*cell/)
    assert.match(says({ excess: 65 }), /lose 6\.5 dB more .* 5\.0 dB is in full -> .*cable/)
    assert.match(says({ excess: -65 }), /lose 6\.5 dB less .* -> .*antenna gain/)
    assert.match(says({ asymmetry: -70 }), /hear it 7\.0 dB louder .* -> .*antenna_gain/)
    assert.match(says({ asymmetry: 70 }), /7\.0 dB more weakly .* -> /)
    assert.match(says({ oneSided: 185 }), /18\.5 % of the frames .* 12\.0 % is in full -> /)
    assert.match(says({ heardShare: 150 }), /took 15\.0 % .* 20\.0 % on is in full -> /)
    const doubt = says({ doubt: 1_350, likelierAt: 4_200 })
    assert.match(doubt, /place 4\.2 km from its cell .*13\.50, in full up to 11\.00\) -> /)
    assert.match(says({ fit: 190, heardShare: 100 }), /took 10\.0 %/)
  })

  it('reads every number from where settlement writes it', () => {
    const places = [5_000, 7_000, 200, 9_000, 2_000, 12_000, 13_000, 110_000, 3_000, 4_000]
    const beaconer = entryOf(0).operator
    const field = new Field({ places, changes: { 2: { operator: beaconer } } })
    field.reveal()
    field.hear(1)
    field.hear(2)
    field.hear(3)
    field.hear(4, { held: 3 })
    field.hear(5, { reception: { rssi: encodeLevel(-100) } })
    field.hear(6, { reception: { snr: encodeLevel(-300), rssis: encodeLevel(-1_200) } })
    field.hear(7, { reception: { spreadingFactor: 12 } })
    field.hear(8)
    field.hear(9, { reception: { rssi: encodeLevel(-900), snr: encodeLevel(0) } })
    field.attest()
    const { verdicts } = field.settle()
    const gateways = gatewayStandings(field.base, field.state)
    assert.deepEqual(
      gateways.map(({ node, plan, drawn }) => [node, plan, drawn]),
      places.concat(0).map((_, node) => [node, 'EU868', true]),
    )
    const found = explainCoverage({
      verdicts: verdicts.map(verdict => ({ ...verdict, parts: verdict.parts ?? [] })),
      gateways,
    })
    const sentences = found.flatMap(({ cause, witnesses }) => [
      cause,
      ...witnesses.map(witness => witness.cause),
    ])
    assert.ok(sentences.length > 9)
    assert.deepEqual(
      sentences.filter(text => /unknown|undefined|NaN/.test(text)),
      [],
    )
    assert.match(found[0]?.witnesses.find(({ node }) => node === 4)?.cause ?? '', /dBm SF.*, but/)
  })

  it('knows when each gateway was last heard', () => {
    const field = new Field({ places: [1_000] })
    const state = { node: 1, nonceRound: 0, nonce: new Uint8Array(32), validEpoch: 6 }
    const [own, other] = gatewayStandings(field.base, { gateways: [state] })
    assert.equal(own?.validEpoch, undefined)
    assert.equal(other?.validEpoch, 6)
    assert.equal(other?.cell, cellNorth(1_000).toString(16))
  })

  it('tells a node without verdicts from one that does not exist', () => {
    const known = { gateways: [gateway(1, 0)], others: [9] }
    const causes = [1, 9, 999].map(node => explainAbsence(node, known).cause)
    assert.match(causes[0] ?? '', /reported no beacon/)
    assert.match(causes[1] ?? '', /^is no gateway of this epoch$/)
    assert.match(causes[2] ?? '', /^is no node of this epoch/)
  })
})
