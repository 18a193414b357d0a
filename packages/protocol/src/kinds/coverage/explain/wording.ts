/** Numbers of a verdict as people write them. */
import type { VerdictFacts } from '../../../kind.ts'
import { SCALE_ONE } from '../../../radio/density.ts'

/** Nodes that are named one by one; of more the others are counted. */
const NAMED_MAX = 6

/** 0.1 dBm as dBm. */
export function dbm(tenths: number): string {
  return `${(tenths / 10).toFixed(1)} dBm`
}

/** 0.1 dB as dB. */
export function decibels(tenths: number): string {
  return `${(tenths / 10).toFixed(1)} dB`
}

export function metres(count: number): string {
  return count < 1_000 ? `${count} m` : `${(count / 1_000).toFixed(1)} km`
}

/** Microseconds as ms. */
export function millis(microseconds: number): string {
  return `${(microseconds / 1_000).toFixed(3)} ms`
}

/** Units in fixed point, 2^32 is 1. */
export function units(fixed: bigint): string {
  const thousandths = (fixed * 1_000n) / SCALE_ONE
  return `${thousandths / 1_000n}.${String(thousandths % 1_000n).padStart(3, '0')}`
}

export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`
}

/** `node 3`, `nodes 3 and 5`, with what is to be said of each behind it. */
export function nodes(
  list: readonly number[],
  remark: (node: number) => string = () => '',
): string {
  const named = list.slice(0, NAMED_MAX).map(node => `${node}${remark(node)}`)
  const others = list.length - named.length
  if (others > 0) named.push(count(others, 'other'))
  return `${list.length === 1 ? 'node' : 'nodes'} ${joined(named)}`
}

export function joined(parts: readonly string[]): string {
  const last = parts.at(-1) ?? ''
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(', ')} and ${last}`
}

/** A fact that is a number; undefined where the verdict does not have it. */
export function number(facts: VerdictFacts, name: string): number | undefined {
  const value = facts[name]
  return typeof value === 'number' ? value : undefined
}

/** A fact that is an amount in fixed point. */
export function amount(facts: VerdictFacts, name: string): bigint | undefined {
  const value = facts[name]
  return typeof value === 'string' && /^\d{1,30}$/.test(value) ? BigInt(value) : undefined
}

/** A fact as `shown` writes it; `unknown` where the verdict does not have it. */
export function fact(
  facts: VerdictFacts,
  name: string,
  shown: (value: number) => string = String,
): string {
  const value = number(facts, name)
  return value === undefined ? 'unknown' : shown(value)
}
