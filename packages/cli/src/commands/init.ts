import { readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { hasCode } from '@cairn/node/lock'
import { CairnError, deriveKeys, hex, nodeName } from '@cairn/protocol'
import { sampleConfig } from '../config/reference.ts'
import { readText } from '../input.ts'
import { readManifest } from '../manifest.ts'
import type { Commands } from '../run.ts'
import { newMnemonic, writeSeed } from '../seed.ts'
import type { Session } from '../session.ts'

interface InitOptions {
  mnemonicFile?: string
}

export function initCommand({ program, action }: Commands): void {
  program
    .command('init')
    .description('make keys and a data directory; the words are shown once')
    .option('--mnemonic-file <file>', 'take the 24 words from a file instead of making new ones')
    .action(
      action(async (session, { mnemonicFile }: InitOptions) => {
        await init(session, mnemonicFile)
        return undefined
      }),
    )
}

async function init(session: Session, mnemonicFile: string | undefined): Promise<void> {
  const { output, world } = session
  const { values, origin } = await session.config()
  const { dataDir } = values
  const mnemonic =
    mnemonicFile === undefined ? newMnemonic() : await readText(resolve(world.cwd, mnemonicFile))
  const { identity, account } = deriveKeys(mnemonic)
  // Read before anything is written: a wrong manifest must not leave half a node behind.
  const copies = origin.network === 'default' ? [] : await networkFiles(values.network)
  await writeSeed(dataDir, mnemonic)
  await writeNew(join(dataDir, 'config.yaml'), sampleConfig())
  for (const { name, content } of copies) await writeFile(join(dataDir, name), content)
  const { peerIdOf } = await import('@cairn/node')
  const facts = {
    dataDir,
    name: nodeName(identity.publicKey),
    peerId: peerIdOf(identity.publicKey),
    account: `0x${hex(account.address)}`,
    ...(mnemonicFile === undefined ? { mnemonic: mnemonic.trim() } : {}),
  }
  const missing = [
    ...(copies.length === 0
      ? [`the network manifest: copy it to ${join(dataDir, 'network.json')}, or pass --network`]
      : []),
    `a bond: send ether and tokens to ${facts.account}, then run \`cairn register\``,
    `something to offer: set storage.quota or radio.port in ${join(dataDir, 'config.yaml')}`,
  ]
  const words = facts.mnemonic === undefined ? [] : wordLines(facts.mnemonic)
  output.result(
    { ...facts, missing },
    [
      `${output.style('bold', facts.name)}`,
      `  peer id    ${facts.peerId}`,
      `  account    ${facts.account}`,
      `  directory  ${dataDir}`,
      ...(words.length === 0
        ? []
        : [
            '',
            output.style(
              'bold',
              'Write these words down now. They are the node, and are not shown again.',
            ),
            ...words,
          ]),
      '',
      'Missing before it earns:',
      ...missing.map(item => `  - ${item}`),
      '',
      'Then: cairn start',
    ].join('\n'),
  )
}

interface Copy {
  name: string
  content: string | Uint8Array
}

/**
 * The manifest and the genesis state beside it, under the names they have in the data directory.
 * Throws `badManifest` where either is not there.
 */
async function networkFiles(path: string): Promise<Copy[]> {
  const { parseManifest } = await import('@cairn/node')
  const text = await readManifest(path)
  const state = join(dirname(path), parseManifest(text).genesisState)
  return [
    { name: 'network.json', content: text },
    { name: basename(state), content: await genesisState(state) },
  ]
}

async function genesisState(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    const reason = hasCode(cause, 'ENOENT') ? 'is not there' : 'cannot be read'
    throw new CairnError('badManifest', `the genesis state ${path} ${reason}`, {
      cause,
      facts: { path },
      next: 'get it from where the manifest is from, put it beside the manifest and run `cairn init` again: nothing was written',
    })
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    // What the operator wrote stays.
    if (!hasCode(error, 'EEXIST')) throw error
  }
}

const WORDS_PER_LINE = 6

function wordLines(mnemonic: string): string[] {
  const words = mnemonic
    .split(' ')
    .map((word, i) => `${String(i + 1).padStart(2)} ${word}`.padEnd(13))
  return Array.from({ length: Math.ceil(words.length / WORDS_PER_LINE) }, (_, line) =>
    `  ${words.slice(line * WORDS_PER_LINE, (line + 1) * WORDS_PER_LINE).join(' ')}`.trimEnd(),
  )
}
