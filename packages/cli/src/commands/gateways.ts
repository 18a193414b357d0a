import {
  bls,
  COVERAGE,
  check,
  deriveKeys,
  ed25519,
  hex,
  NonceChain,
  nodeName,
  regionalPlan,
  unhex,
} from '@cairn/protocol'
import { type ConfiguredGateway, gatewaysOf } from '../config/gateways.ts'
import { readManifest } from '../manifest.ts'
import type { Commands } from '../run.ts'
import { readSeed } from '../seed.ts'
import type { Session } from '../session.ts'

interface GatewaysOptions {
  operator?: string
}

export function gatewaysCommand({ program, action }: Commands): void {
  program
    .command('gateways')
    .description('print what the registry wants of each configured gateway')
    .option('--operator <account>', 'the account that will register them: prints the proofs for it')
    .action(action(gateways))
}

async function gateways(session: Session, { operator }: GatewaysOptions): Promise<undefined> {
  const { output } = session
  const { values } = await session.config()
  const mnemonic = await readSeed(values.dataDir)
  const { networkIdOf, parseManifest } = await import('@cairn/node')
  const manifest = parseManifest(await readManifest(values.network))
  const proofs = operator === undefined ? undefined : await prover(manifest.chain, operator)
  const found = gatewaysOf(values).map(gateway => {
    const keys = deriveKeys(mnemonic, gateway.key)
    const facts = registrationOf(gateway, { keys, network: networkIdOf(manifest) })
    return { ...facts, ...proofs?.(keys) }
  })
  const lines = found.flatMap(({ name, key, eui, plan, ...facts }) => [
    `${output.style('bold', name)} (key ${key}), ${eui ?? 'the first gateway that is heard'}, ${plan}`,
    ...Object.entries(facts).map(([fact, value]) => `  ${fact.padEnd(18)} ${value}`),
  ])
  output.result({ gateways: found }, lines.join('\n'))
  return undefined
}

type Keys = ReturnType<typeof deriveKeys>

/** What `NodeRegistry.register` takes of a gateway, but cell, payout account and bond. */
function registrationOf(
  { key, eui, region, gain }: ConfiguredGateway,
  { keys, network }: { keys: Keys; network: Uint8Array },
) {
  const { identity, voting } = keys
  const { secret, publicKey } = identity
  const plan = regionalPlan(region)
  return {
    key,
    name: nodeName(publicKey),
    ...(eui === undefined ? {} : { eui }),
    plan: plan.name,
    identity: hex(publicKey),
    voting: hex(voting.publicKey),
    region: plan.code,
    gain,
    kinds: 1 << COVERAGE,
    nonceEnd: hex(new NonceChain({ secret, network, identity: publicKey }).end),
  }
}

const ACCOUNT = /^(0x)?[0-9a-f]{40}$/i

/** Shows the registry that who holds the keys wants this operator. */
async function prover(
  { chainId, contracts }: { chainId: number; contracts: { registry: string } },
  operator: string,
) {
  check(ACCOUNT.test(operator), 'badRequest', 'expected an account of 20 bytes in hexadecimal', {
    facts: { operator },
  })
  const { possessionRoot, registrationRoot } = await import('@cairn/contracts')
  return ({ identity, voting }: Keys) => {
    const statement = {
      chainId: BigInt(chainId),
      registry: unhex(contracts.registry),
      identity: identity.publicKey,
      voting: voting.publicKey,
      operator: unhex(operator),
    }
    return {
      possession: hex(bls.sign(possessionRoot(statement), voting.secret)),
      identitySignature: hex(ed25519.sign(registrationRoot(statement), identity.secret)),
    }
  }
}
