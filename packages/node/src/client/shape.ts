/** Into how many shards a file is coded, and how many of them suffice. */
import { CairnError, check, PLACES_MAX } from '@cairn/protocol'

export interface Shape {
  /** k: shards that suffice. */
  readonly data: number
  /** n: shards, each with a provider of another operator. */
  readonly total: number
}

/** Survives the loss of any two thirds of its providers for three times its size. */
export const SHAPE_DEFAULT: Shape = { data: 10, total: 30 }
const EXPANSION = SHAPE_DEFAULT.total / SHAPE_DEFAULT.data

/**
 * What was asked for, or else 10 of 30; with fewer than 30 operators a shard for each, of which a
 * third, rounded up, suffice. Throws `badShape`, and `tooFewProviders` when there are not as many
 * operators as were asked for, or fewer than two and nobody asked for so little.
 */
export function shapeFor(operators: number, asked: Shape | undefined): Shape {
  if (asked === undefined) {
    check(operators >= 2, 'tooFewProviders', `${operators} other operators offer storage`, {
      facts: { operators },
      next: 'wait for more providers; --shards 1/1 stores one copy, which is lost with its provider',
    })
    const total = Math.min(operators, SHAPE_DEFAULT.total)
    return { data: Math.ceil(total / EXPANSION), total }
  }
  const { data, total } = asked
  check(
    Number.isInteger(data) &&
      Number.isInteger(total) &&
      data >= 1 &&
      data <= total &&
      total <= PLACES_MAX,
    'badShape',
    `expected 1 <= k <= n <= ${PLACES_MAX}, found k = ${data}, n = ${total}`,
    { facts: { data, total, max: PLACES_MAX } },
  )
  if (total <= operators) return asked
  throw new CairnError(
    'tooFewProviders',
    `${total} shards need ${total} operators, and ${operators} offer storage`,
    {
      facts: { wanted: total, operators },
      next: `ask for at most --shards ${Math.ceil(operators / EXPANSION)}/${operators}, or wait for more providers`,
    },
  )
}

/** Copies of a file's manifest: whatever the file survives it survives too. */
export function manifestCopies({ data, total }: Shape): number {
  return total - data + 1
}
