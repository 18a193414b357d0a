/** Where the main thread spent its time, by the nearest function that says what it is for. */

interface ProfileNode {
  id: number
  callFrame: { functionName: string; url: string }
  children?: number[]
}

/** As the inspector gives it: times in μs. */
export interface Profile {
  nodes: ProfileNode[]
  samples?: number[]
  timeDeltas?: number[]
}

/** By the file that a function is in; the first that fits, from the innermost function outwards. */
const STAGES: readonly (readonly [stage: string, url: RegExp])[] = [
  ['seal', /client\/cipher/],
  ['code', /erasure|reed-solomon/i],
  [
    'hash',
    /protocol\/(src|dist)\/piece\/|piece\/(hasher|fr32|tree|range|commp|piece|sha)|hash-pool|hashing/,
  ],
  [
    'network',
    /libp2p|node\/(src|dist)\/network|yamux|noise|multiformats|uint8arraylist|node:(internal\/)?(net|stream_base)/,
  ],
  ['disk', /node\/(src|dist)\/pieces\/store|node:internal\/fs/],
]
const OUTSIDE: ReadonlyMap<string, string> = new Map([
  ['(garbage collector)', 'collecting'],
  ['(idle)', 'idle'],
  ['(program)', 'program'],
])

/** Ms by stage; what is idle is left out. */
export function stagesOf({
  nodes,
  samples = [],
  timeDeltas = [],
}: Profile): Record<string, number> {
  const byId = new Map(nodes.map(node => [node.id, node]))
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map(of => [of, id])))
  const known = new Map<number, string>()
  const stageOf = (id: number): string => {
    let stage = known.get(id)
    if (stage !== undefined) return stage
    const { callFrame } = byId.get(id) as ProfileNode
    const outside = OUTSIDE.get(callFrame.functionName)
    const found = STAGES.find(([, url]) => url.test(callFrame.url))?.[0]
    const parent = parents.get(id)
    stage = outside ?? found ?? (parent === undefined ? 'rest' : stageOf(parent))
    known.set(id, stage)
    return stage
  }
  const stages: Record<string, number> = {}
  for (const [i, id] of samples.entries()) {
    const stage = stageOf(id)
    if (stage === 'idle') continue
    stages[stage] = (stages[stage] ?? 0) + (timeDeltas[i] ?? 0) / 1_000
  }
  return stages
}
