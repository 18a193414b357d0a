/**
 * A coverage map as one SVG file that needs nothing else: no fonts, scripts, images or styles from
 * outside. It brings its own background, light or dark as the reader's system is; colours are told
 * apart without colour vision, and shapes and dashes say the same.
 */
import type { CoverageMap, LoweredFactor, MapGateway, MapLink, Point } from './map.ts'

const WIDTH = 1_280
const HEIGHT = 800
/** Where gateways are drawn, and what stands beside them. */
const FIELD = { x: 24, y: 84, width: 860, height: 664 }
const PANEL = { x: 916, y: 84, width: 340, height: 692 }
/** Room for markers and their captions at the edge of the field. */
const MARGIN = 56
/** Metres that the field shows at least: one gateway alone still has a scale. */
const EXTENT_MIN = 1_000
const METRES_PER_DEGREE = 111_195

/** With more gateways markers are smaller, and the captions of all would cover the map. */
const CAPTIONS_MAX = 60
/** With more links that do not count their reasons are in the panel and the tooltips alone. */
const REASONS_MAX = 24

const LINE = 17
/** Characters of 12.5 px that a line of the panel holds, of an average width of 6.7 px. */
const PANEL_CHARS = 48

const STYLE = `
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", Arial, sans-serif; font-size: 12.5px; fill: #1f2933 }
  .title { font-size: 24px; font-weight: 600 }
  .head { font-size: 14px; font-weight: 600 }
  .muted { fill: #5b6672 }
  .paper { fill: #ffffff }
  .field { fill: #f4f6f8; stroke: #d3dae1 }
  .halo { stroke: #f4f6f8; stroke-width: 3.5px; stroke-linejoin: round; paint-order: stroke }
  .link { fill: none; stroke-linecap: round }
  .counted { stroke: #0a6ebd; stroke-width: 1.8px }
  .passed { stroke: #7a8591; stroke-width: 1.6px; stroke-dasharray: 1.5 5 }
  .refused { stroke: #c2410c; stroke-width: 1.6px; stroke-dasharray: 7 4 }
  .why { font-size: 11px; fill: #a8370a }
  .arrow-counted { fill: #0a6ebd } .arrow-passed { fill: #7a8591 } .arrow-refused { fill: #c2410c }
  .ok { fill: #0a6ebd; stroke: #ffffff; stroke-width: 1.5px }
  .bad { fill: #c2410c; stroke: #ffffff; stroke-width: 1.5px }
  .ear { fill: #ffffff; stroke: #0a6ebd; stroke-width: 2.5px }
  .still { fill: #f4f6f8; stroke: #7a8591; stroke-width: 2px; stroke-dasharray: 3 3 }
  .number { font-weight: 600; text-anchor: middle }
  .on { fill: #ffffff }
  .caption { font-size: 11px; text-anchor: middle }
  .scale { stroke: #5b6672; stroke-width: 2px; fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e9ee } .muted { fill: #a3afbb } .paper { fill: #14191f }
    .field { fill: #1c232b; stroke: #35404b } .halo { stroke: #1c232b }
    .counted { stroke: #58b0f4 } .passed { stroke: #97a3af } .refused { stroke: #fb923c }
    .why { fill: #fdba74 }
    .arrow-counted { fill: #58b0f4 } .arrow-passed { fill: #97a3af } .arrow-refused { fill: #fb923c }
    .ok { fill: #1f7fcc; stroke: #14191f } .bad { fill: #c2410c; stroke: #14191f }
    .ear { fill: #1c232b; stroke: #58b0f4 } .still { fill: #1c232b; stroke: #97a3af }
    .on { fill: #ffffff } .scale { stroke: #a3afbb }
  }`

/** Lines that one cause may take, and nodes that are named one by one. */
const PARAGRAPH_LINES = 6
const NAMED_MAX = 6
/** With more links they are drawn translucent, so that those below are seen. */
const OPAQUE_MAX = 100

type LinkClass = 'counted' | 'passed' | 'refused'
type MarkerClass = 'ok' | 'bad' | 'ear' | 'still'

interface Spot {
  x: number
  y: number
}

export function svgOf(map: CoverageMap): string {
  const { epoch, gateways, links } = map
  const view = viewOf(gateways)
  const spots = new Map(
    gateways.flatMap(({ node, centre }) => (centre ? [[node, view.spot(centre)] as const] : [])),
  )
  const radius = spots.size <= CAPTIONS_MAX ? 12 : spots.size <= 200 ? 6 : 4
  const title = `Coverage in epoch ${epoch}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title summary">`,
    `<title id="title">${escaped(title)}</title>`,
    `<desc id="summary">${escaped(summary(map))}</desc>`,
    `<style>${STYLE}\n</style>`,
    `<defs>${(['counted', 'passed', 'refused'] as const).map(arrowHead).join('')}</defs>`,
    `<rect class="paper" width="${WIDTH}" height="${HEIGHT}"/>`,
    text({ x: FIELD.x, y: 40 }, title, 'title'),
    text({ x: FIELD.x, y: 64 }, summary(map), 'muted'),
    `<rect class="field" x="${FIELD.x}" y="${FIELD.y}" width="${FIELD.width}" height="${FIELD.height}" rx="6"/>`,
    `<g opacity="${links.length > OPAQUE_MAX ? 0.6 : 1}">`,
    ...linkShapes(links, spots, radius),
    '</g>',
    ...gateways.flatMap(gateway => markerShapes(gateway, spots.get(gateway.node), radius)),
    ...scaleShapes(view.metresPerPixel),
    ...panelShapes(map),
    '</svg>',
  ].join('\n')
}

/** Text of an SVG: whatever it holds, it stays text. */
export function escaped(value: string): string {
  const safe = value.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
  // XML 1.0 knows no other control characters, no lone surrogates and no non-characters.
  return safe.replace(/[^\t\n\r\x20-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\ufffd')
}

interface View {
  metresPerPixel: number
  spot(point: Point): Spot
}

/** North is up; longitudes are counted from one gateway, so that the antimeridian is no edge. */
function viewOf(gateways: readonly MapGateway[]): View {
  const points = gateways.flatMap(({ centre }) => centre ?? [])
  const origin = points[0] ?? { lat: 0, lng: 0 }
  const shrink = Math.max(Math.cos((origin.lat * Math.PI) / 180), 0.01)
  const plane = ({ lat, lng }: Point): Spot => {
    const east = lng - origin.lng
    const turned = east - 360 * Math.round(east / 360)
    const y = (origin.lat - lat) * METRES_PER_DEGREE
    return { x: turned * METRES_PER_DEGREE * shrink, y }
  }
  const all = points.map(plane)
  const [left, right] = bounds(all.map(({ x }) => x))
  const [top, bottom] = bounds(all.map(({ y }) => y))
  const metresPerPixel = Math.max(
    (right - left) / (FIELD.width - 2 * MARGIN),
    (bottom - top) / (FIELD.height - 2 * MARGIN),
    EXTENT_MIN / (FIELD.width - 2 * MARGIN),
  )
  const middle = { x: FIELD.x + FIELD.width / 2, y: FIELD.y + FIELD.height / 2 }
  return {
    metresPerPixel,
    spot: point => {
      const { x, y } = plane(point)
      return {
        x: middle.x + (x - (left + right) / 2) / metresPerPixel,
        y: middle.y + (y - (top + bottom) / 2) / metresPerPixel,
      }
    },
  }
}

function bounds(values: readonly number[]): [number, number] {
  return values.length === 0
    ? [0, 0]
    : [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]
}

function classOf({ counted, passed }: MapLink): LinkClass {
  if (counted) return 'counted'
  return passed ? 'passed' : 'refused'
}

/** Whether there are few enough to write the reasons of those that do not count beside them. */
function named(links: readonly MapLink[]): boolean {
  return links.filter(link => classOf(link) === 'refused').length <= REASONS_MAX
}

function linkShapes(
  links: readonly MapLink[],
  spots: ReadonlyMap<number, Spot>,
  radius: number,
): string[] {
  const shown = named(links)
  const order: LinkClass[] = ['passed', 'counted', 'refused']
  const sorted = links.toSorted((a, b) => order.indexOf(classOf(a)) - order.indexOf(classOf(b)))
  return sorted.flatMap(link => {
    const [from, to] = [spots.get(link.from), spots.get(link.to)]
    if (from === undefined || to === undefined || link.from === link.to) return []
    const kind = classOf(link)
    const { path, middle } = curve(from, to, radius)
    const tip = `node ${link.to} ${link.cause}`
    const shape = `<g><title>${escaped(`beacon of node ${link.from}: ${tip}`)}</title><path class="link ${kind}" d="${path}" marker-end="url(#${kind})"/></g>`
    if (kind !== 'refused' || !shown) return [shape]
    return [shape, text(middle, link.reason, 'why halo caption')]
  })
}

/** Bent to the left of its way, so that both ways of a pair are seen. */
function curve(from: Spot, to: Spot, radius: number): { path: string; middle: Spot } {
  const [dx, dy] = [to.x - from.x, to.y - from.y]
  const length = Math.max(Math.hypot(dx, dy), 1)
  const bend = Math.min(0.12 * length, 36)
  const control = {
    x: (from.x + to.x) / 2 + (bend * dy) / length,
    y: (from.y + to.y) / 2 - (bend * dx) / length,
  }
  const start = towards(from, control, radius + 2)
  const end = towards(to, control, radius + 4)
  const middle = {
    x: (start.x + 2 * control.x + end.x) / 4,
    y: (start.y + 2 * control.y + end.y) / 4 + 4,
  }
  return { path: `M${at(start)} Q${at(control)} ${at(end)}`, middle }
}

function towards(from: Spot, to: Spot, distance: number): Spot {
  const length = Math.max(Math.hypot(to.x - from.x, to.y - from.y), 1)
  const share = Math.min(distance / length, 0.45)
  return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share }
}

function at({ x, y }: Spot): string {
  return `${x.toFixed(1)} ${y.toFixed(1)}`
}

function arrowHead(kind: LinkClass): string {
  return `<marker id="${kind}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path class="arrow-${kind}" d="M0 0.8 L10 5 L0 9.2 z"/></marker>`
}

function markerOf({ beacon, reports }: MapGateway): MarkerClass {
  if (beacon !== undefined) return beacon.passed ? 'ok' : 'bad'
  return reports > 0 ? 'ear' : 'still'
}

function markerShapes(gateway: MapGateway, spot: Spot | undefined, radius: number): string[] {
  if (spot === undefined) return []
  const kind = markerOf(gateway)
  const shape = `<g><title>${escaped(tooltip(gateway))}</title>${marker(kind, spot, radius)}</g>`
  if (radius < 12) return [shape]
  const filled = kind === 'ok' || kind === 'bad'
  const number = text(
    { x: spot.x, y: spot.y + 4.5 },
    `${gateway.node}`,
    filled ? 'number on' : 'number',
  )
  const below = { x: spot.x, y: spot.y + radius + 13 }
  const tookPart = gateway.beacon !== undefined || gateway.reports > 0
  const caption = tookPart ? [text(below, gateway.units.toFixed(2), 'caption halo')] : []
  return [shape, number, ...caption]
}

/** A circle, or for a beacon that does not count a square on its corner. */
function marker(kind: MarkerClass, { x, y }: Spot, radius: number): string {
  if (kind !== 'bad') {
    return `<circle class="${kind}" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius}"/>`
  }
  const half = radius * 1.3
  const corners = [
    { x, y: y - half },
    { x: x + half, y },
    { x, y: y + half },
    { x: x - half, y },
  ]
  return `<path class="bad" d="M${corners.map(at).join(' L')} z"/>`
}

function tooltip({ node, beacon, reports, reportsCounted, units, lowered }: MapGateway): string {
  const lines = [
    `node ${node}: ${units.toFixed(3)} units`,
    beacon === undefined ? 'no beacon in this epoch' : `beacon (${beacon.reason}): ${beacon.cause}`,
    ...(beacon?.next === undefined ? [] : [`-> ${beacon.next}`]),
    `${reports} reports of others' beacons, ${reportsCounted} count`,
    ...lowered.map(item => loweredText(item)),
  ]
  return lines.join('\n')
}

function loweredText({ value, cause }: LoweredFactor): string {
  return `lowered to ${(100 * value).toFixed(1)} %: ${cause}`
}

function summary({ gateways, links }: CoverageMap): string {
  const beacons = gateways.flatMap(({ beacon }) => beacon ?? [])
  const passed = beacons.filter(beacon => beacon.passed).length
  const counted = links.filter(link => link.counted).length
  const nowhere = gateways.filter(({ centre }) => centre === undefined).length
  const lost = nowhere === 0 ? '' : ` · ${nowhere} without a place`
  return `${gateways.length} gateways · ${beacons.length} beacons, ${passed} count · ${links.length} reports, ${counted} count${lost}`
}

/** A bar of 1, 2 or 5 times a power of ten metres, about an eighth of the field. */
function scaleShapes(metresPerPixel: number): string[] {
  const wanted = (FIELD.width / 8) * metresPerPixel
  const power = 10 ** Math.floor(Math.log10(wanted))
  const metres = ([5, 2, 1].find(step => step * power <= wanted) ?? 1) * power
  const length = metres / metresPerPixel
  const [x, y] = [FIELD.x + 16, FIELD.y + FIELD.height + 22]
  const shown = metres < 1_000 ? `${metres} m` : `${metres / 1_000} km`
  const bar = `M${x} ${y - 4} v8 M${x} ${y} h${length.toFixed(1)} m0 -4 v8`
  return [
    `<path class="scale" d="${bar}"/>`,
    text({ x: x + length + 10, y: y + 4 }, `${shown}, north is up`, 'muted'),
  ]
}

function panelShapes(map: CoverageMap): string[] {
  const shapes: string[] = []
  let y = PANEL.y + 14
  const write = (line: string, style = '') => {
    shapes.push(text({ x: PANEL.x, y }, line, style))
    y += LINE
  }
  write('Gateways', 'head')
  const markers: [MarkerClass, string][] = [
    ['ok', 'its beacon counts'],
    ['bad', 'its beacon does not count'],
    ['ear', 'reported beacons, and sent none'],
    ['still', 'neither sent nor reported'],
  ]
  for (const [kind, meaning] of markers) {
    y += 3
    shapes.push(marker(kind, { x: PANEL.x + 10, y: y - 4 }, 7))
    shapes.push(text({ x: PANEL.x + 40, y }, meaning))
    y += LINE
  }
  const captioned = map.gateways.length <= CAPTIONS_MAX
  const where = captioned
    ? 'The number below one: units that it earned.'
    : 'Point at one for its numbers.'
  write(where, 'muted')
  y += 12
  write('From a beacon to who heard it', 'head')
  const links: [LinkClass, string][] = [
    ['counted', 'counts'],
    ['passed', 'passed all rules, earns nothing'],
    ['refused', named(map.links) ? 'does not count, for the reason beside it' : 'does not count'],
  ]
  for (const [kind, meaning] of links) {
    y += 3
    const [left, right] = [PANEL.x, PANEL.x + 30]
    shapes.push(
      `<path class="link ${kind}" d="M${left} ${y - 4} H${right}" marker-end="url(#${kind})"/>`,
    )
    shapes.push(text({ x: PANEL.x + 40, y }, meaning))
    y += LINE
  }
  y += 12
  const bottom = PANEL.y + PANEL.height
  for (const { text: line, style = '', indent = 0 } of whyNot(map, bottom - y)) {
    shapes.push(text({ x: PANEL.x + indent, y }, line, style))
    y += LINE
  }
  return shapes
}

interface Line {
  text: string
  style?: string
  indent?: number
}

const EARNING_LESS: Line[] = [{ text: '' }, { text: 'Earning less', style: 'head' }]

/** Why beacons and reports did not count, as far as there is room: each cause once. */
function whyNot({ epoch, gateways, links }: CoverageMap, room: number): Line[] {
  const refused = links.filter(({ passed }) => !passed)
  const failed = gateways.flatMap(({ node, beacon }) =>
    beacon === undefined || beacon.passed ? [] : [{ node, text: beacon.cause }],
  )
  const lowered = gateways.flatMap(({ node, lowered: items }) =>
    items.map(item => ({ node, text: loweredText(item) })),
  )
  const lines: Line[] = []
  const add = (more: Line[]): boolean => {
    const fits = (lines.length + more.length + 1) * LINE <= room
    if (fits) lines.push(...more)
    return fits
  }
  if (refused.length + failed.length > 0) add([{ text: 'Why not', style: 'head' }])
  else add([{ text: 'All beacons and reports passed', style: 'head' }])
  const reasons = byCount(Map.groupBy(refused, ({ reason }) => reason))
  const counts = reasons.map(([reason, list]) => `${reason} ${list.length}`)
  if (counts.length > 0) add(paragraph(`Reports: ${counts.join(', ')}.`))
  let left = failed.length + lowered.length
  for (const list of [failed, lowered]) {
    if (list === lowered && lowered.length > 0) add(EARNING_LESS)
    for (const [cause, those] of byCount(Map.groupBy(list, ({ text: told }) => told))) {
      if (!add(paragraph(`${nodes(those.map(({ node }) => node))}: ${cause}.`))) {
        return [...lines, { text: `${left} more: cairn coverage explain ${epoch}`, style: 'muted' }]
      }
      left -= those.length
    }
  }
  return lines
}

/** The most frequent first. */
function byCount<T>(groups: Map<string, T[]>): [string, T[]][] {
  return [...groups].sort(([, a], [, b]) => b.length - a.length)
}

function nodes(list: readonly number[]): string {
  const others = list.length - NAMED_MAX
  const rest = others > 0 ? ` and ${others} more` : ''
  return `${list.length === 1 ? 'Node' : 'Nodes'} ${list.slice(0, NAMED_MAX).join(', ')}${rest}`
}

/** Broken between words, at most so many lines, all but the first indented. */
function paragraph(words: string): Line[] {
  const lines: string[] = []
  for (const word of words.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < PANEL_CHARS) {
      lines[lines.length - 1] = `${last} ${word}`
    } else {
      lines.push(word)
    }
  }
  const shown = lines.slice(0, PARAGRAPH_LINES)
  if (lines.length > shown.length) shown.push(`${shown.pop()} …`)
  return shown.map((line, place) => ({ text: line, indent: place === 0 ? 0 : 14 }))
}

function text({ x, y }: Spot, content: string, style = ''): string {
  const named = style === '' ? '' : ` class="${style}"`
  return `<text${named} x="${x.toFixed(1)}" y="${y.toFixed(1)}">${escaped(content)}</text>`
}
