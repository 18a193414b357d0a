/**
 * What cheats earn beside honest gateways, by the rules of this network and by Helium's last ones on
 * the same receptions; and how long judging an epoch takes.
 *
 * Each line is the mean of five towns (`--towns`) of 200 gateways, 20 % of which cheat. Earnings are
 * shares of one pot, as payouts are, over the last rounds of a full window. What honest gateways keep
 * of a pot says nothing of those among them that are wronged, so their mean score stands beside it,
 * and that in towns without cheats. An honest gateway is found out, wrongly, or a cheat rightly, when
 * its score is below a half; by Helium's rules when it earns nothing.
 *
 * Villages are small networks without cheats: where numbers are few chance alone wrongs somebody.
 */
import {
  ABSENT_FTIME,
  ABSENT_LEVEL,
  ABSENT_TMMS,
  type Anchors,
  antennaScales,
  COVERAGE,
  demodulationLimit,
  densityScales,
  earnedUnits,
  encodeLevel,
  finding,
  freeSpaceLoss,
  type GraphScore,
  HEARINGS_MAX,
  type HeardBeacon,
  type HeardFrame,
  hasCell,
  hasRegion,
  hex,
  judgeAll,
  judgeClose,
  judgeFar,
  judgeFrame,
  judgeGraph,
  judgeLoud,
  judgeNoise,
  judgeOperator,
  judgeRelay,
  judgeSelf,
  judgeSnr,
  linkOf,
  onePerAntenna,
  type RegistryEntry,
  SCALE_ONE,
  type Scores,
  sensitivity,
  sha256,
  spreadingOf,
  UNREVEALED,
  WITNESSES_MAX,
  witnessUnits,
} from '@cairn/protocol'
import { FIELD_CHEATS, type FieldCheat } from '@cairn/testnet'
import { cellToParent, gridDistance } from 'h3-js'
import {
  cheatingTown,
  crowd,
  GAIN,
  type Gateway,
  type Reception,
  type Town,
  type Transmission,
} from './coverage-field.ts'
import type { Group, Line } from './measure.ts'

const GATEWAYS = 200
const SHARE = 0.2
const ROUND_EPOCHS = 6
/** 168 epochs: the window. */
const ROUNDS = 28
/** Earnings are counted over the last rounds. */
const COUNTED_ROUNDS = 4
const ANCHORS = 10
const FREQUENCY = 868_100_000
/** Helium's reciprocity, epochs. */
const RECIPROCITY_EPOCHS = 48
const PPM = 1_000_000
const PAYLOAD = new Uint8Array(25)
const TOWN = { gateways: GATEWAYS, share: SHARE, rounds: ROUNDS, roundEpochs: ROUND_EPOCHS }
/** Gateways, and the side of their square in km; so many villages of each for every town. */
const VILLAGES = [6, 10, 14, 24, 50] as const
const VILLAGE_KM = [2, 5, 10, 30] as const
const VILLAGES_PER_TOWN = 4
/** Towns have the seeds below. */
const VILLAGE_SEED = 201
/** Who keeps less is wronged. */
const KEPT_LEAST = 0.9
const CROWDS = [1_000, 10_000] as const

export const coverage: Group = async function* run({ towns: count }) {
  const towns = (kinds: readonly FieldCheat[]) =>
    Array.from({ length: count }, (_, at) => cheatingTown({ ...TOWN, seed: at + 1, kinds }))
  const honest = towns([])
  yield wronged('none', honest.map(judge), honest)
  for (const kind of [...FIELD_CHEATS, 'mixed'] as const) {
    const played = towns(kind === 'mixed' ? FIELD_CHEATS : [kind])
    const judged = played.map(judge)
    yield* lines(kind, judged, played)
    yield wronged(kind, judged, played)
    yield merging(kind, judged, played)
    yield* lines(kind, played.map(judgeAsHelium), played, 'helium.')
  }
  yield* villages(VILLAGES_PER_TOWN * count)
  yield* judging()
}

/** What the rules leave honest gateways of small networks. */
function* villages(count: number): Generator<Line> {
  for (const gateways of VILLAGES) {
    for (const km of VILLAGE_KM) {
      const played = Array.from({ length: count }, (_, at) =>
        cheatingTown({ ...TOWN, gateways, km, seed: VILLAGE_SEED + at, kinds: [] }),
      )
      const scores = honestScores(played.map(judge), played)
      const cut = scores.filter(score => score < KEPT_LEAST).length / scores.length
      const name = `${gateways}.${km}km`
      yield { name: `village.${name}`, value: mean(scores), unit: 'of 1, honest' }
      yield { name: `wronged.${name}`, value: cut, unit: 'of honest' }
    }
  }
}

interface Judged {
  /** By node, in any unit. */
  readonly earnings: ReadonlyMap<number, number>
  /** What part of its units each has, of 1. */
  readonly score: ReadonlyMap<number, number>
  /** Nodes that count as one with another on their antenna; rules without antennas have none. */
  readonly merged?: ReadonlySet<number>
}

function* lines(
  kind: string,
  judged: readonly Judged[],
  towns: readonly Town[],
  prefix = '',
): Generator<Line> {
  const sums = { kept: 0, cheat: 0, found: 0, right: 0, cheats: 0 }
  for (const [at, { gateways }] of towns.entries()) {
    const { earnings, score } = judged[at] as Judged
    const found = gateways.filter(({ node }) => (score.get(node) ?? 1) < 0.5)
    const earned = (list: readonly Gateway[]) =>
      mean(list.map(({ node }) => earnings.get(node) ?? 0))
    const honest = gateways.filter(({ cheat }) => cheat === undefined)
    const cheats = gateways.filter(({ cheat }) => cheat !== undefined)
    const share = earned(cheats) / earned(honest)
    sums.kept += honest.length / (honest.length + cheats.length * share) / towns.length
    sums.cheat += share / towns.length
    sums.found += found.length
    sums.right += found.filter(({ cheat }) => cheat !== undefined).length
    sums.cheats += cheats.length
  }
  const precision = sums.found === 0 ? 0 : sums.right / sums.found
  yield { name: `${prefix}honest.${kind}`, value: sums.kept, unit: 'share kept' }
  yield { name: `${prefix}cheat.${kind}`, value: sums.cheat, unit: 'of an honest' }
  yield { name: `${prefix}precision.${kind}`, value: precision, unit: 'share' }
  yield { name: `${prefix}recall.${kind}`, value: sums.right / sums.cheats, unit: 'share' }
}

/** Mean score of honest gateways: what the rules take from them for what they are not. */
function wronged(kind: string, judged: readonly Judged[], towns: readonly Town[]): Line {
  const value = mean(honestScores(judged, towns))
  return { name: `score.${kind}`, value, unit: 'of 1, honest' }
}

function honestScores(judged: readonly Judged[], towns: readonly Town[]): number[] {
  return towns.flatMap(({ gateways }, at) =>
    gateways
      .filter(({ cheat }) => cheat === undefined)
      .map(({ node }) => judged[at]?.score.get(node) ?? 1),
  )
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** How many honest gateways are taken to be on one antenna with another. */
function merging(kind: string, judged: readonly Judged[], towns: readonly Town[]): Line {
  let [merged, all] = [0, 0]
  for (const [at, { gateways }] of towns.entries()) {
    const honest = gateways.filter(({ cheat }) => cheat === undefined)
    all += honest.length
    merged += honest.filter(({ node }) => judged[at]?.merged?.has(node)).length
  }
  return { name: `merged.${kind}`, value: merged / all, unit: 'of honest' }
}

function judge({ gateways, transmissions }: Town): Judged {
  const passed = transmissions.map(sent => ({
    sent,
    heard: sent.receptions.filter(reception => passes(sent, reception)),
  }))
  const window = passed.map(({ sent, heard }) => remembered(sent, heard))
  const honest = gateways.filter(({ cheat }) => cheat === undefined)
  const scores = scoresOf(gateways, window, honest)
  const score = new Map(
    [...scores].map(([node, { beaconing, witnessing, antenna }]) => [
      node,
      (beaconing + witnessing) / (2 * PPM * antenna.shared),
    ]),
  )
  const shared = [...scores].filter(([, { antenna }]) => antenna.shared > 1)
  return {
    earnings: earningsOf(passed, payOf(gateways, scores)),
    score,
    merged: new Set(shared.map(([node]) => node)),
  }
}

function scoresOf(
  gateways: readonly Gateway[],
  window: readonly HeardBeacon[],
  honest: readonly Gateway[],
): Map<number, GraphScore> {
  return judgeGraph({
    window,
    gateways: gateways.map(({ node, cell }) => ({ index: node, cell })),
    anchors: named(honest.slice(0, ANCHORS)),
  })
}

/** As settlement pays: an antenna is one place in density, and one among the fourteen. */
function payOf(gateways: readonly Gateway[], scores: Scores): Pay {
  const scales = antennaScales(new Map(gateways.map(({ node, cell }) => [node, cell])), scores)
  return {
    drawn: (sent, heard) =>
      onePerAntenna(
        byHash(sent, heard).map(({ witness }) => ({ node: witness })),
        sent.beaconer,
        scores,
      ).map(({ node }) => node),
    earned: (node, full, as) =>
      Number(earnedUnits({ node, as, full, scale: scales.get(node) ?? 0n, scores })),
  }
}

function named(gateways: readonly { node: number }[]): Anchors {
  return { named: gateways.map(({ node }) => node), service: new Map() }
}

function remembered(sent: Transmission, heard: readonly Reception[]): HeardBeacon {
  const { epoch, beaconer, power, revealed } = sent
  const drawn = byHash(sent, heard).slice(0, HEARINGS_MAX)
  return {
    epoch,
    beaconer,
    power: revealed ? encodeLevel(power) : UNREVEALED,
    hearings: drawn
      .map(({ witness, level, distance }) => ({
        witness,
        loss: power + GAIN - level,
        noise: ABSENT_LEVEL,
        spreading: spreadingOf(distance),
      }))
      .sort((a, b) => a.witness - b.witness),
  }
}

function passes({ spreadingFactor, power }: Transmission, reception: Reception): boolean {
  const { level, snr, distance } = reception
  const link = {
    distance,
    slack: 0,
    loss: freeSpaceLoss(distance, FREQUENCY),
    sent: power + GAIN,
    sensitivity: sensitivity({ spreadingFactor, bandwidth: 125 }),
    snrLimit: demodulationLimit(spreadingFactor),
  }
  const rssi = encodeLevel(level)
  const heard = { rssi, rssis: rssi, snr: encodeLevel(snr) } as HeardFrame
  const { reason } = judgeAll([
    () => judgeClose(link),
    () => judgeFar(link),
    () => judgeLoud(heard, link),
    () => judgeSnr(heard, link),
  ])
  return reason === 'ok'
}

interface Passed {
  readonly sent: Transmission
  readonly heard: readonly Reception[]
}

interface Pay {
  /** Witnesses that count if there are no more than fourteen, in order. */
  drawn(sent: Transmission, heard: readonly Reception[]): readonly number[]
  earned(node: number, full: bigint, as: 'beaconing' | 'witnessing'): number
}

/** HIP-15 units of the last rounds, as they are paid. */
function earningsOf(passed: readonly Passed[], { drawn, earned }: Pay): Map<number, number> {
  const earnings = new Map<number, number>()
  const add = (node: number, full: bigint, as: 'beaconing' | 'witnessing') =>
    earnings.set(node, (earnings.get(node) ?? 0) + earned(node, full, as))
  for (const { sent, heard } of passed) {
    if (sent.epoch < (ROUNDS - COUNTED_ROUNDS) * ROUND_EPOCHS) continue
    const witnesses = drawn(sent, heard).slice(0, WITNESSES_MAX)
    const units = witnessUnits(witnesses.length)
    add(sent.beaconer, units.beacon, 'beaconing')
    for (const witness of witnesses) add(witness, units.witness, 'witnessing')
  }
  return earnings
}

function byHash({ epoch, beaconer }: Transmission, heard: readonly Reception[]): Reception[] {
  return heard
    .map(reception => {
      const words = new Uint32Array([epoch, beaconer, reception.witness])
      return { reception, hash: hex(sha256(new Uint8Array(words.buffer))) }
    })
    .sort((a, b) => (a.hash < b.hash ? -1 : 1))
    .map(({ reception }) => reception)
}

/** Helium's last rules: no louder than free space, 8 cells apart, 100 km, the first 14, 48 h. */
function judgeAsHelium({ gateways, transmissions }: Town): Judged {
  const cells = gateways.map(({ cell }) => cellToParent(cell.toString(16), 11))
  const passed = transmissions.map(sent => {
    const heard = sent.receptions.filter(({ witness, level, distance }) => {
      if (distance > 100_000) return false
      if (level > sent.power + GAIN - freeSpaceLoss(distance, FREQUENCY)) return false
      return gridDistance(cells[sent.beaconer] as string, cells[witness] as string) >= 8
    })
    const first = [...heard].sort((a, b) => a.arrival - b.arrival).slice(0, WITNESSES_MAX)
    return { sent, heard: first }
  })
  const beaconing = new Set<number>()
  const witnessing = new Set<number>()
  for (const { sent, heard } of passed) {
    if (sent.epoch < ROUNDS * ROUND_EPOCHS - RECIPROCITY_EPOCHS) continue
    if (heard.length > 0) beaconing.add(sent.beaconer)
    for (const { witness } of heard) witnessing.add(witness)
  }
  const scales = densityScales(new Map(gateways.map(({ node, cell }) => [node, cell])))
  const earnings = earningsOf(passed, {
    drawn: (sent, heard) => byHash(sent, heard).map(({ witness }) => witness),
    earned: (node, full, as) => {
      const reciprocal = (as === 'beaconing' ? witnessing : beaconing).has(node)
      return reciprocal ? Number((full * (scales.get(node) ?? 0n)) / SCALE_ONE) : 0
    },
  })
  const score = gateways.map(({ node }) => [node, Number((earnings.get(node) ?? 0) > 0)] as const)
  return { earnings, score: new Map(score) }
}

/**
 * An epoch in which every gateway beacons to 14 witnesses, after a full window of such rounds: rules of
 * reports, graph, density, draw and units, without signatures and codecs. Time of all threads
 * together, so that it says the same on a busy machine.
 */
function* judging(): Generator<Line> {
  const seconds: number[] = []
  for (const count of CROWDS) {
    const { gateways, transmissions } = crowd({
      gateways: count,
      witnesses: WITNESSES_MAX,
      rounds: ROUNDS,
      roundEpochs: ROUND_EPOCHS,
    })
    const window = transmissions.map(sent => remembered(sent, sent.receptions))
    const last = transmissions.slice(-count)
    const entries = gateways.map(entryOf)
    const before = process.cpuUsage()
    const passed = last.map(sent => ({
      sent,
      heard: sent.receptions.filter(reception => judgeReport(entries, sent, reception)),
    }))
    const scores = scoresOf(gateways, window, gateways)
    earningsOf(passed, payOf(gateways, scores))
    const { user, system } = process.cpuUsage(before)
    const value = (user + system) / 1_000_000
    seconds.push(value)
    yield { name: `judge.${count}`, value, unit: 's of one core' }
  }
  const [few, many] = CROWDS
  const growth = (seconds[1] as number) / (seconds[0] as number)
  const linearithmic = (many * Math.log2(many)) / (few * Math.log2(few))
  yield { name: 'judge.growth', value: growth / linearithmic, unit: 'of n log n' }
}

/** All rules of a report that need no message: whose it is, and what its radio can have heard. */
function judgeReport(
  entries: readonly RegistryEntry[],
  { beaconer, power, spreadingFactor }: Transmission,
  { witness, level, snr }: Reception,
): boolean {
  const [from, to] = [entries[beaconer] as RegistryEntry, entries[witness] as RegistryEntry]
  const sent = { payload: PAYLOAD, frequency: FREQUENCY, spreadingFactor, bandwidth: 125, power }
  const heard: HeardFrame = {
    ...sent,
    rssi: encodeLevel(level),
    rssis: encodeLevel(level),
    snr: encodeLevel(snr),
    tmst: 0,
    ftime: ABSENT_FTIME,
    tmms: ABSENT_TMMS,
  }
  const link = linkOf(from, to, sent)
  const { reason } = judgeAll([
    () => finding('noCell', hasCell(to), {}),
    () => finding('wrongRegion', hasRegion(to), {}),
    () => judgeSelf(from.index, to.index),
    () => judgeOperator(from.operator, to.operator),
    () => judgeFrame(heard, sent),
    () => judgeClose(link),
    () => judgeFar(link),
    () => judgeLoud(heard, link),
    () => judgeSnr(heard, link),
    () => judgeNoise(heard, undefined),
    () => judgeRelay(heard, { began: ABSENT_TMMS, distance: link.distance }),
  ])
  return reason === 'ok'
}

function entryOf({ node, cell }: Gateway): RegistryEntry {
  const own = (length: number) => {
    const bytes = new Uint8Array(length)
    new DataView(bytes.buffer).setUint32(0, node)
    return bytes
  }
  return {
    index: node,
    operator: own(20),
    payout: own(20),
    identity: own(32),
    voting: own(48),
    cell,
    region: 1,
    subBand: 0,
    gain: GAIN,
    kinds: 1 << COVERAGE,
    nonceEnd: own(32),
    bond: 0n,
    registeredAt: 0,
    exitAt: 0,
  }
}
