/** Code that nodes run in place of Cairn's own, to be paid for what they do not do. */
import {
  type KindServices,
  type Network,
  type NodeKind,
  type Pieces,
  pieceMissing,
  pullPiece,
} from '@cairn/node'
import {
  type Challenge,
  decode,
  type EpochBase,
  type Known,
  type LeafProof,
  type Piece,
  pieceKey,
  SealedProof,
  slotStart,
} from '@cairn/protocol'
import { type Cheat, MemoryPieces } from '@cairn/testnet'

type Prove = Pieces['prove']

/** Proves by other means than from what it was given. */
export function proving(of: (own: MemoryPieces, services: KindServices) => Prove): Cheat {
  return { pieces: (own, services) => instead<Pieces>(own, { prove: of(own, services) }) }
}

/** Threw away the leaves at every `part`-th place. */
export function withHoles(part: number): Cheat {
  return proving(own => async (piece, leaf) => {
    if (leaf % part === 0) throw pieceMissing(piece)
    return await own.prove(piece, leaf)
  })
}

/** Says nothing at all where it would have to say that a leaf is missing. */
export const silentUnlessWhole: Cheat = {
  services: own => ({
    ...own,
    network: answering(own.network, 'prove', answer => async (request, from) => {
      const bytes = await answer(request, from)
      if (decode(SealedProof, bytes).proof.some(leaf => leaf.length === 0))
        throw new Error('silent')
      return bytes
    }),
  }),
}

/** Gives the first whole answer that it ever formed to every later challenge. */
export function replayingAnswers(): Cheat {
  let first: Uint8Array | undefined
  return {
    services: own => ({
      ...own,
      network: answering(own.network, 'prove', answer => async (request, from) => {
        first ??= await answer(request, from)
        return first
      }),
    }),
  }
}

/** Notes what it proves for some epochs, then throws the bytes away and gives what it noted. */
export function replayingLeaves(epochs: number): Cheat {
  return noting(epochs, (notes, piece) => {
    const [some] = notes.get(pieceKey(piece))?.values() ?? []
    return some
  })
}

/** Keeps only the leaves that it was asked before. */
export function keepingAsked(epochs: number): Cheat {
  return noting(epochs, (notes, piece, leaf) => notes.get(pieceKey(piece))?.get(leaf))
}

type Notes = ReadonlyMap<string, ReadonlyMap<number, LeafProof>>

function noting(
  epochs: number,
  find: (notes: Notes, piece: Piece, leaf: number) => LeafProof | undefined,
): Cheat {
  const notes = new Map<string, Map<number, LeafProof>>()
  return proving((own, services) => async (piece, leaf) => {
    if (services.epochs.now() < epochs) {
      const proof = await own.prove(piece, leaf)
      const ofPiece = notes.get(pieceKey(piece)) ?? new Map<number, LeafProof>()
      notes.set(pieceKey(piece), ofPiece.set(leaf, proof))
      return proof
    }
    await own.delete(piece)
    const proof = find(notes, piece, leaf)
    if (proof === undefined) throw pieceMissing(piece)
    return proof
  })
}

/** Keeps nothing; fetches what it is asked for from another node, which is `delayMs` further away. */
export function fetchingFrom(holder: number, delayMs = 0): Cheat {
  return proving((own, services) => async (piece, leaf) => {
    await own.delete(piece)
    await services.clock.until(services.clock.now() + delayMs, never)
    return await (await fetched(services, piece, holder)).prove(piece, leaf)
  })
}

/** A piece as another node gives it, for as long as it takes to answer. */
export async function fetched(
  services: KindServices,
  piece: Piece,
  holder: number,
): Promise<MemoryPieces> {
  const { network, clock } = services
  const copy = new MemoryPieces()
  const source = pullPiece(
    { network, clock },
    { piece, peers: [peerAt(services, holder)], signal: never },
  )
  await copy.put(source, { expected: piece })
  return copy
}

/** Attests what it likes of a challenge. */
export function attesting(
  attest: (
    own: NodeKind,
    challenge: Known<Challenge>,
    at: { base: EpochBase; signal: AbortSignal; services: KindServices },
  ) => ReturnType<NodeKind['attest']>,
): Cheat {
  return {
    half: (own, services) =>
      instead<NodeKind>(own, {
        attest: (challenge, base, signal) => attest(own, challenge, { base, signal, services }),
      }),
  }
}

/** Does something more at the beginning of each epoch. */
export function beginning(
  task: (own: NodeKind, services: KindServices, base: EpochBase) => Promise<void>,
): Cheat {
  return {
    half: (own, services) =>
      instead<NodeKind>(own, {
        epoch: base => {
          own.epoch(base)
          if (base.epoch < services.epochs.now()) return
          services.clock.at(slotStart(base, base.epoch, 1), () => void task(own, services, base))
        },
      }),
  }
}

const never = new AbortController().signal

function peerAt(services: KindServices, index: number): string {
  const entry = services.epochs.base(services.epochs.now())?.node(index)
  if (entry === undefined) throw new Error(`node ${index} is not known yet`)
  return services.peerOf(entry)
}

type Answer = Parameters<Network['serve']>[2]

/** Changes how a node answers one protocol. */
export function answering(
  network: Network,
  protocol: string,
  change: (answer: Answer) => Answer,
): Network {
  return instead(network, {
    serve: (served, options, answer) =>
      network.serve(served, options, served === protocol ? change(answer) : answer),
  })
}

/** The same but for what is given in its place. */
export function instead<T extends object>(own: T, change: Partial<T>): T {
  return new Proxy(own, {
    get(target, name) {
      if (name in change) return change[name as keyof T]
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
