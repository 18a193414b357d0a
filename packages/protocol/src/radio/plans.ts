/**
 * The regional plans. Channels and data rates are those of the LoRa Alliance's RP002-1.0.4, limits
 * those of the law that it refers to; each plan names its sources. Where a law leaves a choice, the
 * stricter reading stands here: a beacon that is too quiet costs a witness, one that is too loud
 * costs the operator's licence.
 *
 * Carrier sense, where a law asks for it (KR920, Japan's part of AS923-1), is the forwarder's: GWMP
 * has no word for it, and the Semtech HAL does it by its own configuration.
 *
 * Boxes are drawn around the countries that the LoRa Alliance and The Things Network list for a
 * plan. Neighbours' boxes overlap; nobody's cell is refused for a border.
 */
import type { Box, DutyBand, RegionalPlan } from './regions.ts'

/** What RP002 has every radio support: the limit less 0 to 14 dB by 2. */
const POWER_STEPS = { step: 20, count: 8 }

/** `duty` of a band in which no law limits it: an hour of every hour. */
const UNLIMITED = 1_000_000

/** 47 CFR 15.247 (a)(1)(i): 0.4 s; the same by Brazil's Act 14448, Japan's ARIB STD-T108. */
const DWELL_400_MS = 400_000

/**
 * Bands and limits: ETSI EN 300 220-2 V3.2.1, annex B, bands K to Q, 25 mW ERP (14 dBm, 16.15 dBm
 * EIRP; 16 as RP002 has it), P 500 mW ERP (29.15 dBm EIRP). Channels: RP002's three default ones,
 * then the five that every network in the band adds.
 */
export const EU868: RegionalPlan = {
  code: 1,
  name: 'EU868',
  channelSets: [
    [
      868_100_000, 868_300_000, 868_500_000, 867_100_000, 867_300_000, 867_500_000, 867_700_000,
      867_900_000,
    ],
  ],
  spreadingFactors: [7, 12],
  bands: [
    { name: 'K', from: 863_000_000, to: 865_000_000, duty: 1_000, maxEirp: 160 },
    { name: 'L', from: 865_000_000, to: 868_000_000, duty: 10_000, maxEirp: 160 },
    { name: 'M', from: 868_000_000, to: 868_600_000, duty: 10_000, maxEirp: 160 },
    { name: 'N', from: 868_700_000, to: 869_200_000, duty: 1_000, maxEirp: 160 },
    { name: 'P', from: 869_400_000, to: 869_650_000, duty: 100_000, maxEirp: 291 },
    { name: 'Q', from: 869_700_000, to: 870_000_000, duty: 10_000, maxEirp: 160 },
  ],
  powerSteps: POWER_STEPS,
  boxes: [
    [63, -25, 67, -13], // Iceland
    [49, -11, 61, 2], // British Isles
    [36, -32, 40, -24], // Azores
    [27, -19, 34, -13], // Madeira, Canary Islands
    [35, -10, 44, 4], // Iberia
    [36, -6, 56, 19], // France to Poland's west, Italy, Malta
    [54, 4, 72, 21], // Denmark, Norway, Sweden
    [59, 19, 70, 28], // Finland, northern Norway
    [61, 28, 71, 32], // eastern Finland and Norway
    [55, 21, 60, 28], // Estonia, Latvia, Lithuania's north
    [53, 23, 56, 27], // Lithuania's south
    [48, 12, 55, 24], // Czechia, Poland, Slovakia
    [34, 13, 49, 30], // Hungary and Romania to Greece
    [44, 22, 52, 40], // Ukraine, Moldova
    [34, 25, 43, 45], // Turkey, Cyprus
  ],
}

/**
 * 47 CFR 15.247: 902 to 928 MHz. A gateway beacons on the eight channels of its sub-band, and a
 * hybrid system of fewer than 50 channels is held to 21 dBm by RP002 (2.5.3); with the 6 dBi that
 * the rule allows on top that is 27 dBm EIRP. Channels: 902.3 MHz and every 200 kHz, by eight.
 */
const US915: RegionalPlan = {
  code: 2,
  name: 'US915',
  channelSets: subBands(902_300_000, 8),
  spreadingFactors: [7, 10],
  dwell: DWELL_400_MS,
  bands: [band('902-928', 902_000_000, 928_000_000, UNLIMITED, 270)],
  powerSteps: POWER_STEPS,
  boxes: [
    [24, -125, 50, -66], // contiguous United States
    [42, -141, 84, -52], // Canada
    [51, -180, 72, -129], // Alaska
    [18, -161, 23, -154], // Hawaii
    [14, -118, 33, -86], // Mexico
    [7, -86, 12, -77], // Costa Rica, Panama
    [17, -68, 19, -64], // Puerto Rico
    [-6, -92, 2, -75], // Ecuador
    [1, -62, 9, -56], // Guyana
  ],
}

/**
 * Australia's LIPD class licence 2015, item 45 (digital modulation, 915 to 928 MHz): 1 W EIRP.
 * Brazil's Act 14448 limits one transmission to 0.4 s; RP002 takes it for the whole plan unless a
 * network says otherwise. Channels: 915.2 MHz and every 200 kHz, by eight.
 */
const AU915: RegionalPlan = {
  code: 3,
  name: 'AU915',
  channelSets: subBands(915_200_000, 8),
  spreadingFactors: [7, 12],
  dwell: DWELL_400_MS,
  bands: [band('915-928', 915_000_000, 928_000_000, UNLIMITED, 300)],
  powerSteps: POWER_STEPS,
  boxes: [
    [-44, 112, -9, 154], // Australia
    [-48, 166, -34, 179], // New Zealand
    [-34, -74, 6, -34], // Brazil, Bolivia, Paraguay
    [-56, -76, -17, -53], // Argentina, Chile, Uruguay
    [-19, -82, 0, -68], // Peru
    [-5, -80, 13, -66], // Colombia
  ],
}

/** RP002 2.10: 923.2 and 923.4 MHz, the six above them that networks add; 16 dBm EIRP, 1 %. */
const AS923_1 = as923({
  code: 4,
  name: 'AS923-1',
  first: 923_200_000,
  band: [920_000_000, 925_000_000],
  boxes: [
    [24, 122, 46, 146], // Japan
    [21, 119, 26, 123], // Taiwan
    [22, 113, 23, 115], // Hong Kong
    [5, 97, 21, 108], // Thailand, Laos, Cambodia
    [0, 99, 8, 120], // Malaysia, Singapore, Brunei
    [-44, 112, -9, 154], // Australia
    [-48, 166, -34, 179], // New Zealand
  ],
})

/** RP002 2.10, 1.8 MHz lower. */
const AS923_2 = as923({
  code: 5,
  name: 'AS923-2',
  first: 921_400_000,
  band: [920_000_000, 923_000_000],
  boxes: [
    [8, 102, 24, 110], // Vietnam
    [-11, 95, 6, 141], // Indonesia
  ],
})

/** RP002 2.10, 6.6 MHz lower. */
const AS923_3 = as923({
  code: 6,
  name: 'AS923-3',
  first: 916_600_000,
  band: [915_000_000, 921_000_000],
  boxes: [
    [4, 116, 22, 127], // Philippines
    [19, -85, 24, -74], // Cuba
  ],
})

/** RP002 2.10, 5.9 MHz lower. */
const AS923_4 = as923({
  code: 7,
  name: 'AS923-4',
  first: 917_300_000,
  band: [917_000_000, 920_000_000],
  boxes: [[29, 34, 34, 36]], // Israel
})

/**
 * RP002 2.9, after Korea's technical requirements for 917 to 923.5 MHz: 14 dBm EIRP from 922.1 MHz
 * on. The law limits neither duty nor dwell for a radio that listens before it talks.
 */
const KR920: RegionalPlan = {
  code: 8,
  name: 'KR920',
  channelSets: [channels(922_100_000, 7)],
  spreadingFactors: [7, 12],
  bands: [band('922-923', 922_000_000, 923_400_000, UNLIMITED, 140)],
  powerSteps: POWER_STEPS,
  boxes: [[33, 124, 39, 132]], // South Korea
}

/** RP002 2.11, after India's GSR 168(E) of 2021: 865 to 868 MHz, 4 W ERP; 30 dBm EIRP as RP002. */
const IN865: RegionalPlan = {
  code: 9,
  name: 'IN865',
  channelSets: [[865_062_500, 865_402_500, 865_985_000]],
  spreadingFactors: [7, 12],
  bands: [band('865-867', 865_000_000, 867_000_000, UNLIMITED, 300)],
  powerSteps: POWER_STEPS,
  boxes: [
    [6, 68, 36, 98], // India, Nepal, Bangladesh, Sri Lanka
    [23, 60, 37, 78], // Pakistan
  ],
}

/**
 * RP002 2.12, after decision 18-46-03-1 of Russia's frequency commission: 16 dBm EIRP, 0.1 % in 864
 * to 865 MHz, 1 % in 868.7 to 869.2 MHz. Channels: the two default ones, then five that networks
 * add.
 */
const RU864: RegionalPlan = {
  code: 10,
  name: 'RU864',
  channelSets: [[868_900_000, 869_100_000, ...channels(864_100_000, 5)]],
  spreadingFactors: [7, 12],
  bands: [
    band('864-865', 864_000_000, 865_000_000, 1_000, 160),
    band('868.7-869.2', 868_700_000, 869_200_000, 10_000, 160),
  ],
  powerSteps: POWER_STEPS,
  boxes: [
    [41, 27, 82, 180], // Russia
    [61, -180, 72, -169], // Chukotka
    [54, 19, 56, 23], // Kaliningrad
  ],
}

/**
 * China's announcement 52 of 2019 for 470 to 510 MHz: 50 mW ERP (19.15 dBm EIRP), 1 s a
 * transmission. Channels: the 96 of RP002 before revision 1.0.1, 470.3 MHz and every 200 kHz, by
 * eight.
 */
const CN470: RegionalPlan = {
  code: 11,
  name: 'CN470',
  channelSets: subBands(470_300_000, 12),
  spreadingFactors: [7, 12],
  dwell: 1_000_000,
  bands: [band('470-510', 470_000_000, 510_000_000, UNLIMITED, 191)],
  powerSteps: POWER_STEPS,
  boxes: [[18, 73, 54, 135]], // China
}

/** Every plan, in the order of the codes. */
export const REGIONAL_PLANS: readonly RegionalPlan[] = [
  EU868,
  US915,
  AU915,
  AS923_1,
  AS923_2,
  AS923_3,
  AS923_4,
  KR920,
  IN865,
  RU864,
  CN470,
]

interface As923 {
  code: number
  name: string
  /** Hz: the lowest of eight channels. */
  first: number
  /** Hz: the spectrum of the plan's countries, from inclusive, to exclusive. */
  band: readonly [from: number, to: number]
  boxes: readonly Box[]
}

function as923({ code, name, first, band: [from, to], boxes }: As923): RegionalPlan {
  return {
    code,
    name,
    channelSets: [channels(first, 8)],
    spreadingFactors: [7, 12],
    dwell: DWELL_400_MS,
    bands: [band(name, from, to, 10_000, 160)],
    powerSteps: POWER_STEPS,
    boxes,
  }
}

function band(name: string, from: number, to: number, duty: number, maxEirp: number): DutyBand {
  return { name, from, to, duty, maxEirp }
}

/** Every 200 kHz from `first` on, Hz. */
function channels(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => first + at * 200_000)
}

/** `count` sets of eight channels, one above the other. */
function subBands(first: number, count: number): number[][] {
  return Array.from({ length: count }, (_, at) => channels(first + at * 8 * 200_000, 8))
}
