/**
 * A coverage map as GeoJSON (RFC 7946): WGS 84, longitude first, exterior rings counterclockwise
 * (section 3.1.6), and what crosses the antimeridian cut in two there (section 3.1.9).
 */
import type { CoverageMap, MapGateway, MapLink, Point } from './map.ts'

type Coordinates = [lng: number, lat: number]

type Geometry =
  | { type: 'Polygon'; coordinates: Coordinates[][] }
  | { type: 'MultiPolygon'; coordinates: Coordinates[][][] }
  | { type: 'LineString'; coordinates: Coordinates[] }
  | { type: 'MultiLineString'; coordinates: Coordinates[][] }
  | { type: 'Point'; coordinates: Coordinates }

export interface Feature {
  type: 'Feature'
  id: string
  /** Null where somebody has registered no place. */
  geometry: Geometry | null
  properties: Record<string, unknown>
}

export interface FeatureCollection {
  type: 'FeatureCollection'
  features: Feature[]
}

/** Digits of a degree: about 1 cm. */
const DIGITS = 7

export function geojsonOf({ epoch, gateways, links }: CoverageMap): FeatureCollection {
  const centres = new Map(gateways.map(({ node, centre }) => [node, centre]))
  return {
    type: 'FeatureCollection',
    features: [
      ...gateways.map(gateway => gatewayFeature(epoch, gateway)),
      ...links.map((link, place) =>
        linkFeature({ epoch, place, link }, centres.get(link.from), centres.get(link.to)),
      ),
    ],
  }
}

/** A cell; where it crosses the antimeridian its two parts. */
export function cellGeometry(corners: readonly Point[]): Geometry | null {
  const ring = unwrapped(corners)
  const [first] = ring
  if (first === undefined) return null
  const lngs = ring.map(([lng]) => lng)
  // A ring that ends a turn away from where it began holds a pole: no plane polygon does.
  if (Math.abs(turnOf(corners)) > 180) return { type: 'Point', coordinates: rounded(first) }
  const [west, east] = [Math.min(...lngs), Math.max(...lngs)]
  if (west >= -180 && east <= 180) return { type: 'Polygon', coordinates: [closed(ring)] }
  const [cut, shift] = east > 180 ? [180, -360] : [-180, 360]
  const parts = [
    { ring: clipped(ring, lng => lng <= cut, cut), shift: cut === 180 ? 0 : shift },
    { ring: clipped(ring, lng => lng >= cut, cut), shift: cut === 180 ? shift : 0 },
  ]
  const coordinates = parts
    .filter(part => part.ring.length > 2)
    .map(part => [closed(part.ring.map(([lng, lat]) => [lng + part.shift, lat]))])
  return { type: 'MultiPolygon', coordinates }
}

/** The shorter way between two places; where it crosses the antimeridian in two parts. */
export function lineGeometry(from: Point, to: Point): Geometry {
  const [start, end] = unwrapped([from, to]) as [Coordinates, Coordinates]
  const [, lat] = start
  if (Math.abs(end[0]) <= 180) {
    return { type: 'LineString', coordinates: [rounded(start), rounded(end)] }
  }
  const edge = end[0] > 180 ? 180 : -180
  const share = end[0] === start[0] ? 0 : (edge - start[0]) / (end[0] - start[0])
  const at = lat + share * (end[1] - lat)
  return {
    type: 'MultiLineString',
    coordinates: [
      [rounded(start), rounded([edge, at])],
      [rounded([-edge, at]), rounded([end[0] - 2 * edge, end[1]])],
    ],
  }
}

function gatewayFeature(epoch: number, gateway: MapGateway): Feature {
  const { node, cell, centre, corners, plan, beacon, factors, lowered, ...rest } = gateway
  return {
    type: 'Feature',
    id: `gateway/${node}`,
    geometry: cellGeometry(corners),
    properties: {
      type: 'gateway',
      epoch,
      node,
      cell: cell ?? null,
      centre: centre === undefined ? null : rounded([centre.lng, centre.lat]),
      plan: plan ?? null,
      beacon: beacon ?? null,
      ...rest,
      factors,
      lowered,
    },
  }
}

interface Numbered {
  epoch: number
  place: number
  link: MapLink
}

function linkFeature(
  { epoch, place, link }: Numbered,
  from: Point | undefined,
  to: Point | undefined,
): Feature {
  const placed = from !== undefined && to !== undefined
  return {
    type: 'Feature',
    id: `link/${link.from}/${link.to}/${place}`,
    geometry: placed ? lineGeometry(from, to) : null,
    properties: { type: 'link', epoch, ...link },
  }
}

/** Longitudes that go on over the antimeridian instead of jumping: each within half a turn of the one before. */
function unwrapped(points: readonly Point[]): Coordinates[] {
  const found: Coordinates[] = []
  for (const { lat, lng } of points) {
    const before = found.at(-1)?.[0] ?? lng
    found.push([lng + 360 * Math.round((before - lng) / 360), lat])
  }
  return found
}

/** Degrees around the pole that a walk along the ring makes. */
function turnOf(points: readonly Point[]): number {
  const around = unwrapped([...points, ...points.slice(0, 1)])
  return (around.at(-1)?.[0] ?? 0) - (around[0]?.[0] ?? 0)
}

/** What of a convex ring lies on one side of a meridian. */
function clipped(
  ring: readonly Coordinates[],
  inside: (lng: number) => boolean,
  cut: number,
): Coordinates[] {
  return ring.flatMap((point, place) => {
    const before = ring.at(place - 1) as Coordinates
    const crossing: Coordinates[] = []
    if (inside(before[0]) !== inside(point[0])) {
      const share = (cut - before[0]) / (point[0] - before[0])
      crossing.push([cut, before[1] + share * (point[1] - before[1])])
    }
    return inside(point[0]) ? [...crossing, point] : crossing
  })
}

/** Counterclockwise, the first corner again at the end. */
function closed(ring: readonly Coordinates[]): Coordinates[] {
  const order = area(ring) < 0 ? ring.toReversed() : [...ring]
  return [...order, ...order.slice(0, 1)].map(rounded)
}

/** Twice the area; negative for a clockwise ring. */
function area(ring: readonly Coordinates[]): number {
  return ring.reduce((sum, [x, y], place) => {
    const [nextX, nextY] = ring[(place + 1) % ring.length] as Coordinates
    return sum + x * nextY - nextX * y
  }, 0)
}

function rounded([lng, lat]: Coordinates): Coordinates {
  // Adding 0 turns -0 into 0.
  return [Number(lng.toFixed(DIGITS)) + 0, Number(lat.toFixed(DIGITS)) + 0]
}
