/**
 * The operator's desk of a command: the running daemon's, or one opened here where none runs. Either
 * way an account has one queue of transactions.
 */
import type {
  ClaimDone,
  Claims,
  ClaimWish,
  Done,
  EarningsStanding,
  Json,
  Manifest,
  OperatorStanding,
  Order,
  Payouts,
} from '@cairn/node'
import { acquireLock, isAlive, readLock } from '@cairn/node/lock'
import { CairnError, check, deriveKeys, hex } from '@cairn/protocol'
import type { ApiClient } from './api-client.ts'
import { chainSettingsOf } from './chain-settings.ts'
import { pinoLog } from './log.ts'
import { readManifest } from './manifest.ts'
import { readSeed } from './seed.ts'
import type { Session } from './session.ts'

/** By index, or by the number of its keys among those of the words. */
export interface NodeChoice {
  node?: number | undefined
  key?: number | undefined
}

type Unchosen<O> = O extends unknown ? Omit<O, 'node' | 'identity'> : never

export interface Desk {
  standing(choice: NodeChoice): Promise<Json<OperatorStanding>>
  order(
    order: Unchosen<Order>,
    options: NodeChoice & { dryRun?: boolean | undefined; reference?: string | undefined },
  ): Promise<Json<Done>>
  close(): Promise<void>
}

/** Where sums are a proof file's. */
export interface ClaimsDesk {
  earnings(accounts: readonly Uint8Array[]): Promise<Json<EarningsStanding>>
  claim(wish: Omit<ClaimWish, 'signal'>): Promise<Json<ClaimDone>>
  standing(node: number): Promise<Json<OperatorStanding>>
  close(): Promise<void>
}

/** Rejects with `notInitialised`, `badManifest`, `dataDirLocked`. */
export async function openDesk(session: Session): Promise<Desk> {
  const api = await runningDaemon(session)
  if (api !== undefined) return remoteDesk(session, api)
  return await localDesk(session)
}

/** Claims by a proof file, with the account of the words; no daemon may run on the directory. */
export async function openClaims(
  session: Session,
  payouts: Payouts,
  manifest?: Manifest,
): Promise<ClaimsDesk> {
  const { desk, close } = await openHere(session, [0], manifest)
  let claims: Claims
  try {
    claims = desk.claims(payouts)
  } catch (error) {
    await close()
    throw error
  }
  const { toJson } = await import('@cairn/node')
  const { signal } = session
  return {
    earnings: async accounts => toJson(await claims.earnings(accounts)),
    claim: async wish => toJson(await claims.claim({ ...wish, signal })),
    standing: async node => toJson(await desk.operator.standing({ node })),
    close,
  }
}

/** The operator of the node, where that is not this account; undefined without node, too. */
export function strangerOf({ node, account }: Json<OperatorStanding>): string | undefined {
  return node === undefined || node.operator === account ? undefined : node.operator
}

/** Gives tokens to the node of another operator only where that is `meant`. Throws `notOperator`. */
export function requireGift(standing: Json<OperatorStanding>, meant: boolean): void {
  const stranger = strangerOf(standing)
  check(
    stranger === undefined || meant,
    'notOperator',
    `node ${standing.node?.index} is of 0x${stranger}, who alone has its bond back`,
    {
      facts: { operator: stranger, account: standing.account },
      next: 'pass --yes to give that operator the tokens, or use the words of that account',
    },
  )
}

/** Undefined where none runs; a lock that a dead process left is none. */
async function runningDaemon(session: Session): Promise<ApiClient | undefined> {
  const { values } = await session.config()
  const lock = await readLock(values.dataDir)
  if (lock === undefined) return undefined
  try {
    const api = await session.api()
    await api.json('/health')
    return api
  } catch (error) {
    const gone = error instanceof CairnError && error.code === 'notRunning' && !isAlive(lock.pid)
    if (!gone) throw error
    return undefined
  }
}

function remoteDesk(session: Session, api: ApiClient): Desk {
  return {
    async standing(choice) {
      return await api.json('/v1/operator', { query: await queryOf(session, choice) })
    },
    async order({ act, ...wish }, { dryRun = false, reference, ...choice }) {
      const chosen = await queryOf(session, choice)
      const query = { ...chosen, ...textOf(wish), dryRun: String(dryRun), reference }
      return await api.json(`/v1/operator/${act}`, { method: 'POST', query })
    },
    close: async () => undefined,
  }
}

async function localDesk(session: Session): Promise<Desk> {
  const { values } = await session.config()
  const keys = [...new Set([0, ...values['radio.gateways'].map(({ key }) => key)])]
  const { desk, close, identityOf } = await openHere(session, keys)
  const { toJson } = await import('@cairn/node')
  const { signal } = session
  const chosen = ({ node, key }: NodeChoice) => ({
    node,
    identity: key === undefined ? undefined : identityOf(key),
  })
  return {
    standing: async choice => toJson(await desk.operator.standing(chosen(choice))),
    async order(order, { dryRun = false, reference, ...choice }) {
      const whole = { ...order, ...chosen(choice) } as Order
      return toJson(await desk.operator.carryOut(whole, { dryRun, reference, signal }))
    },
    close,
  }
}

async function openHere(session: Session, numbers: readonly number[], known?: Manifest) {
  const { world } = session
  const { values } = await session.config()
  const mnemonic = await readSeed(values.dataDir)
  const { openOperatorDesk, parseManifest } = await import('@cairn/node')
  const manifest = known ?? parseManifest(await readManifest(values.network))
  const [first, ...others] = numbers.map(number => deriveKeys(mnemonic, number))
  const lock = await acquireLock(values.dataDir, world.pid)
  try {
    const desk = await openOperatorDesk({
      dataDir: values.dataDir,
      manifest,
      keys: [first as NonNullable<typeof first>, ...others],
      ...chainSettingsOf(values),
      log: pinoLog({
        level: values.logLevel === 'debug' ? 'debug' : 'error',
        json: session.output.json,
        stream: world.stderr,
      }),
    })
    return {
      desk,
      identityOf: (key: number) => deriveKeys(mnemonic, key).identity.publicKey,
      async close() {
        await desk.close()
        await lock.release()
      },
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

async function queryOf(session: Session, { node, key }: NodeChoice) {
  if (key === undefined) return { node }
  const { values } = await session.config()
  const { identity } = deriveKeys(await readSeed(values.dataDir), key)
  return { node, identity: hex(identity.publicKey) }
}

/** As the API's routes read it: cells in hexadecimal, as everybody writes them. */
function textOf(wish: object): Record<string, string> {
  const given = Object.entries(wish).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    given.map(([name, value]) => [
      name,
      value instanceof Uint8Array
        ? hex(value)
        : name === 'cell'
          ? (value as bigint).toString(16)
          : String(value),
    ]),
  )
}
