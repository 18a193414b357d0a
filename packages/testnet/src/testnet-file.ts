/** `testnet.json`: how scripts and foreign clients find a running testnet. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { z } from 'zod'

export const TESTNET_FILE = 'testnet.json'

const Hex = z.string().regex(/^0x[0-9a-f]*$/i)

export const TestnetFile = z.strictObject({
  schema: z.literal(1),
  /** Process that runs the testnet. */
  pid: z.number().int().positive(),
  /** Network id, hexadecimal. */
  network: z.string().regex(/^[0-9a-f]{64}$/),
  manifest: z.string(),
  /** Where `testnet fault`, `status` and `down` send their requests. */
  control: z.strictObject({ url: z.url(), tokenPath: z.string() }),
  chain: z.strictObject({
    rpc: z.url(),
    chainId: z.number().int(),
    contracts: z.strictObject({
      token: Hex,
      registry: Hex,
      checkpoints: Hex,
      distributor: Hex,
      deposits: Hex,
      access: Hex,
      slasher: Hex,
      parameters: Hex,
      timelock: Hex,
      governor: Hex,
    }),
    /** Development accounts whose keys everybody knows. */
    accounts: z.array(z.strictObject({ address: Hex, privateKey: Hex })),
  }),
  randomness: z.strictObject({ url: z.url(), publicKey: z.string() }),
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      peerId: z.string(),
      index: z.number().int().nonnegative(),
      multiaddrs: z.array(z.string()),
      /** Base URL of the HTTP API and the file that holds its bearer token. */
      api: z.url(),
      tokenPath: z.string(),
      /** host:port of the GWMP server; null for a node without a radio. */
      gwmp: z.string().nullable(),
      dataDir: z.string(),
    }),
  ),
})
export type TestnetFile = z.infer<typeof TestnetFile>

export function testnetFilePath(dataDir: string): string {
  return join(dataDir, TESTNET_FILE)
}

export async function writeTestnetFile(dataDir: string, file: TestnetFile): Promise<string> {
  const path = testnetFilePath(dataDir)
  const temporary = `${path}.new`
  await writeFile(temporary, `${JSON.stringify(TestnetFile.parse(file), null, 2)}\n`)
  await rename(temporary, path)
  return path
}

/** Throws `noTestnet` or `badTestnetFile`. */
export async function readTestnetFile(dataDir: string): Promise<TestnetFile> {
  const path = testnetFilePath(dataDir)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new CairnError('noTestnet', `no testnet runs from ${dataDir}`, {
      cause,
      facts: { path },
      next: 'start one with `cairn testnet up`, or name its directory with --dir',
    })
  }
  const parsed = TestnetFile.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw new CairnError('badTestnetFile', `${path}: ${z.prettifyError(parsed.error)}`, {
    facts: { path },
    next: 'start the testnet again: the file is written anew',
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
